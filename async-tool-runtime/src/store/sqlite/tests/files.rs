//! The file: whose it is, and who may read it.

use rusqlite::Connection;

use super::connection::{self, File};
use super::schema;
use super::*;
use crate::store::from_url;

async fn refusal(path: &Path) -> String {
    match SqliteStore::open(path).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn urls_name_files() {
    let place = Place::new();
    let url = format!("sqlite:{}", place.path().display());
    assert!(from_url(&url).await.is_ok());
    for (url, said) in [
        ("sqlite:", "empty"),
        ("sqlite::memory:", "MemoryStore"),
        ("sqlite://tasks.db", "sqlite:/var"),
        ("sqlita:x", "`sqlite:PATH`"),
    ] {
        match from_url(url).await {
            Ok(_) => panic!("{url} opened"),
            Err(error) => assert!(error.to_string().contains(said), "{url}: {error}"),
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_new_files() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let directory = place.directory.path().join("a/b");
    let path = directory.join("tasks.db");
    let all = SqliteStore::open(&path).await.expect("it opens");
    let store = all.open("test").await.expect("it opens");
    queued(&*store, task("t")).await;
    let mode = |path: &Path| {
        let metadata = std::fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    for name in ["tasks.db", "tasks.db-wal", "tasks.db-shm"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&directory), 0o700);
    drop(store);
    all.close().await;

    // The user knows better.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("it is ours");
    SqliteStore::open(&path).await.expect("it opens");
    assert_eq!(mode(&path), 0o640);
}

#[tokio::test]
async fn closing_leaves_one_file() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    queued(&*store, task("t")).await;
    drop(store);
    all.close().await;
    let files = std::fs::read_dir(place.directory.path()).expect("a directory");
    let names: Vec<_> = files
        .map(|file| file.expect("a file").file_name())
        .collect();
    assert_eq!(names, ["tasks.db"]);
}

#[tokio::test]
async fn closing_one_of_two_handles_waits_for_nothing() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    all.close().await;
    queued(&*store, task("t")).await;
}

#[tokio::test]
async fn a_file_of_somebody_else_is_left_alone() {
    let place = Place::new();
    let theirs = Connection::open(place.path()).expect("it opens");
    theirs
        .execute_batch("CREATE TABLE tasks (id); INSERT INTO tasks VALUES (1);")
        .expect("it works");
    assert!(refusal(&place.path()).await.contains("another application"));
    theirs
        .execute_batch("PRAGMA user_version = 1; PRAGMA application_id = 77;")
        .expect("it works");
    assert!(refusal(&place.path()).await.contains("another application"));
    let mode: String = theirs
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .expect("it works");
    assert_eq!(mode, "delete", "nothing was done to it");

    std::fs::write(place.directory.path().join("text"), "x".repeat(5000)).expect("it is written");
    let text = refusal(&place.directory.path().join("text")).await;
    assert!(text.contains("no SQLite database"), "{text}");
    let directory = refusal(place.directory.path()).await;
    assert!(directory.contains("names a directory"), "{directory}");
    assert!(refusal(Path::new("")).await.contains("empty"));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let place = Place::new();
    place.open().await.close().await;
    let newer = Connection::open(place.path()).expect("it opens");
    newer
        .execute_batch("PRAGMA user_version = 1000")
        .expect("it works");
    assert!(refusal(&place.path()).await.contains("newer version"));
}

#[test]
fn migrations_are_applied_once_and_as_a_whole() {
    const FIRST: &str = "CREATE TABLE a (x); INSERT INTO a VALUES (1);";
    const SECOND: &str = "CREATE TABLE b (x); INSERT INTO b SELECT x FROM a;";
    const BROKEN: &str = "INSERT INTO b VALUES (2); INSERT INTO nowhere VALUES (3);";

    let place = Place::new();
    let file = File::prepare(&place.path()).expect("it is created");
    let open = |migrations: &[&str]| file.writer(migrations, Duration::from_millis(300));
    let sum = |connection: &Connection| -> i64 {
        connection
            .query_row("SELECT sum(x) FROM b", [], |row| row.get(0))
            .expect("there is one")
    };
    drop(open(&[FIRST]).expect("it opens"));
    let second = open(&[FIRST, SECOND]).expect("it is upgraded");
    assert_eq!(sum(&second), 1);
    assert!(open(&[FIRST, SECOND, BROKEN]).is_err());
    assert_eq!(sum(&second), 1, "nothing of it has happened");
    assert_eq!(sum(&open(&[FIRST, SECOND]).expect("it opens")), 1);
    let old = open(&[FIRST]).expect_err("it is too new");
    assert!(StoreError::from(old).to_string().contains("schema 2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_new_file_at_once() {
    let place = Place::new();
    let opening = (0..8).map(|_| {
        let path = place.path();
        tokio::spawn(async move { SqliteStore::open(path).await?.open("test").await })
    });
    for opened in futures_util::future::join_all(opening).await {
        let store = opened.expect("no panic").expect("it opens");
        queued(&*store, task("t")).await;
    }
}

#[test]
fn a_file_that_gets_its_tables_is_taken_for_no_other() {
    let last = i64::try_from(schema::MIGRATIONS.len()).expect("there are few");
    for _ in 0..20 {
        let place = Place::new();
        let here = Connection::open(place.path()).expect("it opens");
        here.execute_batch("PRAGMA journal_mode = wal")
            .expect("it works");
        let there = Connection::open(place.path()).expect("it opens");
        let looking = std::thread::spawn(move || {
            loop {
                schema::inspect(&there, schema::MIGRATIONS).map_err(StoreError::from)?;
                let version = there.pragma_query_value(None, "user_version", |row| row.get(0));
                if version == Ok(last) {
                    return Ok::<(), StoreError>(());
                }
            }
        });
        schema::migrate(&here, schema::MIGRATIONS)
            .map_err(StoreError::from)
            .expect("it works");
        looking.join().expect("no panic").expect("it is ours");
    }
}

#[test]
fn an_sqlite_that_damages_files_is_refused() {
    assert!(connection::check_version(3_051_003).is_ok());
    let error = connection::check_version(3_051_002).expect_err("it has the bug");
    assert!(StoreError::from(error).to_string().contains("3.51.3"));
}

#[tokio::test]
async fn the_log_is_written_back_and_begun_again() {
    let place = Place::new();
    let store = place.store().await;
    let log = place.directory.path().join("tasks.db-wal");
    let size = || std::fs::metadata(&log).expect("it is there").len();
    let mut written = 0;
    while written < 40 << 20 {
        let large = NewTask {
            arguments: "x".repeat(1 << 20).into(),
            ..task("t")
        };
        queued(&*store, large).await;
        written += 1 << 20;
    }
    assert!(size() < 20 << 20, "{} bytes", size());
}
