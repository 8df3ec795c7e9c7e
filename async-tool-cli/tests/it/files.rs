//! SQLite files: that looking changes nothing, and versions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_tool_runtime::SqliteStore;
use async_tool_runtime::store::OpenStore;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::program::Program;
use crate::server::queued;

/// The first version of the schema.
const FIRST: &str =
    include_str!("../../../async-tool-runtime/src/store/sqlite/migrations/0001.sql");
/// What marks files of this project.
const APPLICATION: i64 = 0x4154_534b;

const LOOKING: [&[&str]; 5] = [
    &["list"],
    &["show", "0123456789abcdef0123456789abcdef"],
    &["stats"],
    &["namespaces"],
    &["doctor", "--quick"],
];

struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("tasks.db")
    }

    fn program(&self) -> Program {
        Program::on(format!("sqlite:{}", self.path().display()), "default")
    }

    /// All that is in the directory.
    fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = std::fs::read_dir(self.directory.path()).expect("a directory");
        let read = |path: PathBuf| {
            let content = std::fs::read(&path).expect("a file");
            (path, content)
        };
        entries
            .map(|entry| read(entry.expect("an entry").path()))
            .collect()
    }
}

fn with_schema(path: &Path, sql: &str, version: i64) {
    let connection = Connection::open(path).expect("a file");
    connection.execute_batch(sql).expect("a schema");
    for (name, value) in [("user_version", version), ("application_id", APPLICATION)] {
        connection.pragma_update(None, name, value).expect("a mark");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_stays_so() {
    let files = Files::new();
    for arguments in LOOKING {
        let ran = files.program().run(arguments).await;
        assert_eq!(ran.code, Some(1), "{arguments:?}: {ran:?}");
        assert!(
            ran.notes.contains("there is no file `"),
            "{arguments:?}: {ran:?}"
        );
        assert!(files.content().is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn looking_changes_nothing() {
    let files = Files::new();
    let store = SqliteStore::open(files.path()).await.expect("a file");
    let namespace = store.open("default").await.expect("a namespace");
    let id = queued(&*namespace).await;
    drop(namespace);
    store.close().await;
    let before = files.content();
    assert_eq!(before.len(), 1);
    let id = id.to_string();
    for arguments in LOOKING.into_iter().chain([&["show", id.as_str()][..]]) {
        let ran = files.program().run(arguments).await;
        assert!(
            ran.code.is_some_and(|code| code < 2),
            "{arguments:?}: {ran:?}"
        );
        assert!(files.content() == before, "{arguments:?} changed something");
    }
    // Beside a worker that has it open as well.
    let store = SqliteStore::open(files.path()).await.expect("a file");
    let listed = files.program().json(&["list"]).await;
    assert_eq!(listed["tasks"][0]["task_id"], id);
    store.close().await;
    assert!(files.content() == before);
}

#[tokio::test]
async fn an_older_file_is_opened_when_somebody_says_so() {
    let files = Files::new();
    with_schema(&files.path(), FIRST, 1);
    let before = files.content();
    for arguments in [&["list"][..], &["stats"], &["purge", "--all", "--yes"]] {
        let ran = files.program().run(arguments).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.notes.contains("`async-tool upgrade`"), "{ran:?}");
        assert!(files.content() == before, "{arguments:?} changed something");
    }
    let ran = files.program().run(&["doctor", "--json"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let document = ran.document();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["findings"][0]["code"], "schema_older");
    assert!(files.content() == before, "`doctor` changed something");

    let upgraded = files.program().json(&["upgrade"]).await;
    assert_eq!(upgraded["changed"], true);
    assert_eq!(upgraded["schema_before"], 1);
    assert_eq!(upgraded["schema"], document["known_schema"]);
    assert_eq!(files.program().json(&["upgrade"]).await["changed"], false);
    files.program().json(&["list"]).await;
}

#[tokio::test]
async fn a_newer_file_is_left_alone() {
    let files = Files::new();
    with_schema(&files.path(), FIRST, 1000);
    let before = files.content();
    for arguments in [&["list"][..], &["doctor"], &["upgrade"]] {
        let ran = files.program().run(arguments).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let text = format!("{}{}", ran.out, ran.notes);
        assert!(text.contains("schema version 1000"), "{text}");
        assert!(files.content() == before, "{arguments:?} changed something");
    }
}
