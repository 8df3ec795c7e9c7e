//! The log, and how it gets back into the file.

use std::time::Instant;

use rusqlite::Connection;

use super::checkpoints::Checkpoints;
use super::connection::{self, File};
use super::schema::MIGRATIONS;
use super::*;
use crate::test_log::Log;

/// How many pages the log has, and how many of them are in the file.
fn log(connection: &Connection) -> (i64, i64) {
    connection
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
            Ok((row.get(1)?, row.get(2)?))
        })
        .expect("it is ours")
}

fn write(connection: &Connection, pages: usize) {
    let sql = "INSERT INTO arguments (body) VALUES (?1)";
    let inserted = connection.execute(sql, ["x".repeat(pages * 4096)]);
    inserted.expect("it is ours");
}

#[test]
fn a_reader_of_the_file_stalls_nobody_twice() {
    let (said, _guard) = Log::capture();

    let place = Place::new();
    let file = File::prepare(&place.path()).expect("it is created");
    let writer = file.writer(MIGRATIONS, connection::PATIENCE);
    let writer = writer.expect("it opens");
    let mut checkpoints = Checkpoints::beyond(3000);
    let mut after_commit = || {
        let began = Instant::now();
        let done = checkpoints.after_commit(&writer);
        done.map_err(StoreError::from).expect("it works");
        began.elapsed()
    };

    let reader = Connection::open(place.path()).expect("it opens");
    let read = "BEGIN; SELECT count(*) FROM tasks;";
    reader.execute_batch(read).expect("it reads");
    write(&writer, 4000);
    let waited = after_commit();
    assert!(waited >= Duration::from_millis(50), "{waited:?}");
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    // None of these waits; together they would for a second at least.
    let waited: Duration = (0..20)
        .map(|_| {
            write(&writer, 1);
            after_commit()
        })
        .sum();
    assert!(waited < Duration::from_millis(900), "{waited:?}");

    // What can be written back is, whoever reads the rest.
    reader.execute_batch("COMMIT").expect("it reads");
    reader.execute_batch(read).expect("it reads");
    let (until, _) = log(&writer);
    write(&writer, 2100);
    after_commit();
    let (pages, written) = log(&writer);
    assert!(pages > until && written >= until, "{written} of {pages}");

    let said = said.text();
    assert_eq!(said.matches("reads the file").count(), 1, "{said}");
}

#[tokio::test]
async fn the_log_is_written_back_now_and_then() {
    for each in [false, true] {
        let place = Place::new();
        let mut all = place.open().await;
        if each {
            all = all.one_transaction_per_call();
        }
        let store = all.open("test").await.expect("it opens");
        for _ in 0..24 {
            let mut new = task("t");
            new.arguments = "x".repeat(200 * 4096).into();
            queued(&*store, new).await;
        }
        // What is in the file makes room in the log; the last call was answered
        // before its checkpoint.
        let reader = Connection::open(place.path()).expect("it opens");
        let began = Instant::now();
        while log(&reader).0 >= 3000 {
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "one by one: {each}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
