//! What the SQLite store has beyond the contract, and random operations
//! against the memory store. Where time matters, it is tokio's paused clock.

mod model;
mod processes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::engine::Clock;
use crate::store::{
    Admission, Created, Fingerprint, Lease, NewTask, SessionId, TaskId, TaskRecord, Want,
};

/// A directory with a file.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: TempDir::new().expect("a directory"),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("tasks.db")
    }

    /// A server's view: a connection of its own.
    async fn open(&self) -> SqliteStore {
        self.open_with(Options {
            clock: Clock::tokio(),
            patience: Duration::from_millis(300),
        })
        .await
    }

    async fn open_with(&self, options: Options) -> SqliteStore {
        SqliteStore::open_with(&self.path(), options)
            .await
            .expect("it opens")
    }

    async fn store(&self) -> Arc<dyn Store> {
        self.open().await.open("test").await.expect("it opens")
    }
}

fn task(tool: &str) -> NewTask {
    NewTask::new(
        TaskId::random(),
        tool,
        r#"{"a":1}"#,
        Duration::from_secs(100),
        Duration::from_secs(60),
    )
}

fn fingerprint(number: u64) -> Fingerprint {
    Fingerprint::of("t", &serde_json::json!(number))
}

fn lease() -> Lease {
    Lease::new(SessionId::random(), Duration::from_secs(15))
}

fn roomy() -> Admission {
    Admission::new(1000, 1000)
}

async fn queued(store: &dyn Store, new: NewTask) -> TaskId {
    match store.create(new, roomy()).await.expect("it works") {
        Created::New(record) => record.id,
        other => panic!("{other:?}"),
    }
}

async fn claim(store: &dyn Store, lease: Lease, tool: &str, limit: usize) -> Vec<TaskRecord> {
    let wants = [Want::new(tool.into(), limit)];
    store.claim(lease, &wants, limit).await.expect("it works")
}
