//! Looks at files: what they find, and that they change nothing.

use rusqlite::Connection;

use super::*;
use crate::store::{Inspection, inspect};

const LATEST: Option<u32> = Some(3);

async fn look(path: &Path) -> Inspection {
    let looked = inspect(&format!("sqlite:{}", path.display())).await;
    looked.expect("it can be looked at")
}

async fn refusal(path: &Path) -> String {
    match SqliteStore::inspect(path).await {
        Ok(found) => panic!("{found:?}"),
        Err(error) => error.to_string(),
    }
}

/// The names in the directory, and the files' bytes, but of what is shared
/// memory.
fn files(place: &Place) -> Vec<(std::ffi::OsString, Option<Vec<u8>>)> {
    let entries = std::fs::read_dir(place.directory.path()).expect("a directory");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("a file");
            let is_shared = entry.file_name().to_string_lossy().ends_with("-shm");
            let bytes = (!is_shared).then(|| std::fs::read(entry.path()).expect("it is there"));
            (entry.file_name(), bytes)
        })
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_look_at_a_file_changes_nothing() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    queued(&*store, task("t")).await;

    let in_use = files(&place);
    let found = look(&place.path()).await;
    assert!(found.engine.starts_with("SQLite 3."), "{found:?}");
    assert_eq!((found.schema, found.known_schema), (LATEST, LATEST));
    assert_eq!(found.warnings, Vec::<String>::new());
    assert!(files(&place) == in_use, "something was written");
    // Nor has it taken a lock away.
    queued(&*store, task("t")).await;

    drop(store);
    all.close().await;
    let closed = files(&place);
    assert_eq!(closed.len(), 1);
    let found = look(&place.path()).await;
    assert_eq!((found.schema, found.warnings), (LATEST, Vec::new()));
    assert!(files(&place) == closed, "something was written");
}

#[tokio::test]
async fn what_a_killed_process_left_is_looked_at() {
    let place = Place::new();
    let store = place.store().await;
    queued(&*store, task("t")).await;
    let after = Place::new();
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("tasks.db{suffix}");
        let (from, to) = (&place.directory, &after.directory);
        std::fs::copy(from.path().join(&name), to.path().join(&name)).expect("it is there");
    }
    let left = files(&after);
    assert_eq!(look(&after.path()).await.schema, LATEST);
    assert!(files(&after) == left, "something was written");

    std::fs::remove_file(after.directory.path().join("tasks.db-shm")).expect("it is there");
    let error = refusal(&after.path()).await;
    assert!(error.contains("no `-shm`"), "{error}");
    after.open().await.close().await;
    assert_eq!(look(&after.path()).await.schema, LATEST);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_created() {
    let place = Place::new();
    let error = refusal(&place.path()).await;
    assert!(error.contains("there is no file"), "{error}");
    assert!(error.contains("tasks.db"), "{error}");
    assert_eq!(files(&place), []);
    for (url, said) in [
        ("sqlite:", "empty"),
        ("sqlite://tasks.db", "sqlite:/var"),
        ("memory:", "does not outlive"),
        ("sqlita:x", "`sqlite:PATH`"),
    ] {
        let error = inspect(url).await.expect_err("it is wrong").to_string();
        assert!(error.contains(said), "{url}: {error}");
    }
    assert!(
        refusal(place.directory.path())
            .await
            .contains("names a directory")
    );
}

#[tokio::test]
async fn files_of_all_versions_are_looked_at() {
    let place = Place::new();
    // Some text that a URI would take for something else.
    let path = place.directory.path().join("what? 100%#1.db");
    std::fs::write(&path, "").expect("it is written");
    let found = look(&path).await;
    assert_eq!((found.schema, found.warnings), (None, Vec::new()));
    assert_eq!(std::fs::read(&path).expect("it is there"), b"");

    let file = connection::File::prepare(&path).expect("it is there");
    let old = file.writer(&schema::MIGRATIONS[..2], Duration::from_millis(300));
    drop(old.map_err(StoreError::from).expect("it opens"));
    let found = look(&path).await;
    assert_eq!((found.schema, found.known_schema), (Some(2), LATEST));

    let newer = Connection::open(&path).expect("it opens");
    newer
        .execute_batch("PRAGMA user_version = 1000")
        .expect("it works");
    let found = look(&path).await;
    assert_eq!((found.schema, found.known_schema), (Some(1000), LATEST));

    newer
        .execute_batch("PRAGMA application_id = 77")
        .expect("it works");
    let error = refusal(&path).await;
    assert!(error.contains("another application"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_not_in_write_ahead_mode_is_warned_of() {
    let place = Place::new();
    place.open().await.close().await;
    let connection = Connection::open(place.path()).expect("it opens");
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0))
        .expect("it works");
    assert_eq!(mode, "delete");
    let found = look(&place.path()).await;
    assert_eq!(found.warnings.len(), 1);
    assert!(found.warnings[0].contains("write-ahead"), "{found:?}");

    // The store sees to it itself.
    place.open().await.close().await;
    assert_eq!(look(&place.path()).await.warnings, Vec::<String>::new());
}
