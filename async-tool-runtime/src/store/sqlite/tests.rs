//! What the SQLite store has beyond the contract, and random operations
//! against the memory store. Where time matters, it is tokio's paused clock.

mod faults;
mod files;
mod formats;
mod idle;
mod inspect;
mod log;
mod model;
mod notices;
mod plans;
mod processes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::engine::Clock;
use crate::store::model::{fingerprint, lease, task};
use crate::store::{Admission, Created, Lease, NewTask, SessionId, TaskId, TaskRecord, Want};

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

/// What must be true of the tables at any time.
fn check_integrity(place: &Place) {
    let connection = rusqlite::Connection::open(place.path()).expect("it opens");
    let text = |sql: &str| -> String {
        connection
            .query_row(sql, [], |row| row.get(0))
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    for (wrong, sql) in [
        (
            "numbers of records",
            "SELECT 1 FROM namespaces n WHERE records <> \
             (SELECT count(*) FROM tasks t WHERE t.ns = n.ns)",
        ),
        (
            "lengths of queues",
            "SELECT 1 FROM queues q WHERE queued <> (SELECT count(*) FROM tasks t \
             WHERE t.ns = q.ns AND t.tool = q.tool AND t.status = 0)",
        ),
        (
            "tasks of no queue",
            "SELECT 1 FROM tasks t WHERE status = 0 AND NOT EXISTS \
             (SELECT 1 FROM queues q WHERE t.ns = q.ns AND t.tool = q.tool)",
        ),
        (
            "sessions that own nothing",
            "SELECT 1 FROM sessions s WHERE NOT EXISTS \
             (SELECT 1 FROM tasks t WHERE t.ns = s.ns AND t.owner = s.session)",
        ),
        (
            "owners without a session",
            "SELECT 1 FROM tasks t WHERE owner IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM sessions s WHERE t.ns = s.ns AND t.owner = s.session)",
        ),
        (
            "tasks neither queued nor owned",
            "SELECT 1 FROM tasks WHERE status IN (1, 2) AND owner IS NULL",
        ),
        (
            "questions of tasks that have ended, or that older versions know",
            "SELECT 1 FROM tasks WHERE input IS NOT NULL AND (status >= 3 OR format < 2)",
        ),
        (
            "notices that older versions know, or parts of one",
            "SELECT 1 FROM tasks WHERE (notice IS NOT NULL) <> (format >= 3) \
             OR (notice IS NULL AND (notice_due IS NOT NULL OR notice_state IS NOT NULL))",
        ),
        (
            "ended tasks that were never told of",
            "SELECT 1 FROM tasks WHERE notice = 0 AND (status >= 3 OR notice_due IS NOT NULL)",
        ),
        (
            "tasks that wait for no answer",
            "SELECT 1 FROM tasks t WHERE (status = 2) <> (status < 3 AND owner IS NOT NULL \
             AND EXISTS (SELECT 1 FROM json_each(t.input, '$.questions') q \
             WHERE q.value ->> 'epoch' = t.epoch))",
        ),
        (
            "ended tasks without a date of expiry",
            "SELECT 1 FROM tasks WHERE (status >= 3) <> (expires_at IS NOT NULL)",
        ),
        (
            "arguments without a living task",
            "SELECT 1 FROM arguments a WHERE NOT EXISTS \
             (SELECT 1 FROM tasks t WHERE t.seq = a.task AND t.status < 3)",
        ),
        (
            "steps without a living task",
            "SELECT 1 FROM steps a WHERE NOT EXISTS \
             (SELECT 1 FROM tasks t WHERE t.seq = a.task AND t.status < 3)",
        ),
        (
            "results of tasks that have none",
            "SELECT 1 FROM results a WHERE NOT EXISTS \
             (SELECT 1 FROM tasks t WHERE t.seq = a.task AND t.status <= 3)",
        ),
        (
            "completed tasks without a result",
            "SELECT 1 FROM tasks t WHERE status = 3 AND NOT EXISTS \
             (SELECT 1 FROM results a WHERE a.task = t.seq)",
        ),
        (
            "log lines or keys of no task",
            "SELECT 1 FROM (SELECT task FROM log UNION ALL SELECT task FROM keys) a \
             WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.seq = a.task)",
        ),
        (
            "numbers of keys",
            "SELECT 1 FROM tasks t WHERE keys <> (SELECT count(*) FROM keys k WHERE k.task = t.seq)",
        ),
        (
            "more log lines than are kept",
            "SELECT 1 FROM log GROUP BY task HAVING count(*) > 50",
        ),
    ] {
        assert_eq!(
            text(&format!("SELECT count(*) || '' FROM ({sql})")),
            "0",
            "{wrong}"
        );
    }
}
