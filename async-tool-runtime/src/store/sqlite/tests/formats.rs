//! Records that another version wrote.

use rusqlite::Connection;
use tokio::time::advance;

use super::connection::File;
use super::schema::MIGRATIONS;
use super::*;
use crate::store::{Answered, End, Epoch, Filter, Input, Outcome, Owner, Question, Status};

#[tokio::test(start_paused = true)]
async fn records_of_a_newer_version_are_left_alone() {
    let place = Place::new();
    let store = place.store().await;
    let newer = [
        queued(&*store, task("a")).await,
        queued(&*store, task("b")).await,
    ];
    claim(&*store, lease(), "b", 1).await;
    let connection = Connection::open(place.path()).expect("it opens");
    connection
        .execute_batch("UPDATE tasks SET format = 99, status = 7 * status")
        .expect("it is ours");
    let ours = queued(&*store, task("a")).await;

    let error = store.get(newer[0]).await.expect_err("it is too new");
    assert!(error.to_string().contains("newer version"), "{error}");
    let error = store.request_cancel(newer[0], "".into()).await;
    assert!(error.is_err());
    let claimed = claim(&*store, lease(), "a", 5).await;
    assert_eq!(
        claimed.iter().map(|record| record.id).collect::<Vec<_>>(),
        [ours]
    );
    let filter = Filter::of(Owner::Anybody);
    let listed = store.list(&filter, None, 10).await.expect("it works");
    assert_eq!(listed.len(), 1);

    // Neither deadline nor lease nor retention is ours to see to.
    advance(Duration::from_secs(14)).await;
    let reaped = store.reap(10).await.expect("it works");
    assert!(!reaped.ready);
    advance(Duration::from_secs(1000)).await;
    let reaped = store.reap(10).await.expect("it works");
    assert_eq!(
        (reaped.interrupted, reaped.expired),
        (vec![ours], Vec::new())
    );
    let reaped = store.reap(10).await.expect("it works");
    assert!(
        reaped
            .next
            .is_none_or(|next| next >= Duration::from_secs(1))
    );
}

/// What it wrote of a task that is being worked on, and of one that waits.
const FIRST_VERSION: &str = r#"
    INSERT INTO namespaces (ns, name, records) VALUES (1, 'test', 2);
    INSERT INTO tasks (seq, ns, id, format, status, epoch, revision, report, attempt, max_attempts,
        owner, created_at, started_at, deadline, retention, keys, tool, outcome)
      VALUES (1, 1, x'00000000000000000000000000000001', 1, 1, 1, 2, 0, 1, 1,
          x'00000000000000000000000000000009', 0, 0, 9999999999999, 60000, 0, 'a', NULL),
        (2, 1, x'00000000000000000000000000000002', 1, 0, 0, 1, 0, 0, 1,
          NULL, 0, NULL, 9999999999999, 60000, 0, 'a', NULL);
    INSERT INTO arguments VALUES (1, '{}'), (2, '{}');
    INSERT INTO sessions VALUES (1, x'00000000000000000000000000000009', 1, 15000);
    INSERT INTO queues VALUES (1, 'a', 1);
"#;

#[tokio::test(start_paused = true)]
async fn a_file_of_the_first_version_is_brought_up_to_date() {
    let place = Place::new();
    let file = File::prepare(&place.path()).expect("it is created");
    let first = file
        .writer(&MIGRATIONS[..1], Duration::from_millis(300))
        .map_err(StoreError::from)
        .expect("it opens");
    first.execute_batch(FIRST_VERSION).expect("it works");
    // A process of the first version has it open meanwhile.
    let store = place.store().await;
    let format = |id: TaskId| -> u32 {
        let sql = "SELECT format FROM tasks WHERE id = ?1";
        let found = first.query_row(sql, [id.to_bytes()], |row| row.get(0));
        found.expect("it is there")
    };

    let ids = [1, 2].map(|last| {
        let mut bytes = [0; 16];
        bytes[15] = last;
        TaskId::from_bytes(bytes)
    });
    let claimed = claim(&*store, lease(), "a", 5).await;
    assert_eq!(claimed[0].id, ids[1]);
    let ask = async |id, key: &str| {
        let question = Question::new(key, "sure?", "true", Epoch(0));
        let asked = store.ask(id, Epoch(1), vec![question], 0).await;
        assert_eq!(asked.expect("it works"), Ok(()));
    };
    let read = async |id| {
        let found = store.get(id).await.expect("it works");
        found.expect("it is there")
    };
    assert_eq!(read(ids[0]).await.input, None);
    assert_eq!(
        format(ids[0]),
        1,
        "who knows of no questions goes on with it"
    );
    ask(ids[0], "q").await;
    assert_eq!(format(ids[0]), 2);
    assert_eq!(format(ids[1]), 1);
    assert_eq!(read(ids[0]).await.status, Status::InputRequired);
    let answered = store.answer(ids[0], "q", "1".into()).await;
    assert_eq!(answered.expect("it works"), Some(Answered::Recorded));
    let left = read(ids[0]).await.input;
    assert_eq!(
        left.map(|input| Input::clone(&input).questions),
        Some(vec![])
    );
    assert_eq!(format(ids[0]), 2);

    let new = queued(&*store, task("a")).await;
    assert_eq!(format(new), 1);
    let record = claim(&*store, lease(), "a", 1).await.remove(0);
    ask(record.id, "q").await;
    let end = End::new(Outcome::Completed("1".into()), 0);
    let finished = store.finish(new, Epoch(1), end).await.expect("it works");
    assert_eq!((finished, read(new).await.input), (Ok(()), None));
    check_integrity(&place);
}
