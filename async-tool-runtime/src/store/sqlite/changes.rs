//! Telling others of this process what changed, and finding out what other
//! processes changed.
//!
//! Each commit leaves a row that says what it changed; the last of them are
//! kept. `PRAGMA data_version` tells, for the price of a look into shared
//! memory, whether anybody else has committed anything; only then are rows
//! read.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::stream::BoxStream;
use futures_util::stream;
use rusqlite::Connection;
use tokio::sync::broadcast;

use super::error::Done;
use super::statement;
use crate::store::Change;
use crate::task::TaskId;

/// How many changes a slow reader may lag behind before it has to resync.
const LAG: usize = 1024;
/// How many changes are told one by one.
const TOLD: usize = 1000;
/// How many commits other processes can look back.
const KEPT: i64 = 1024;
/// How often surplus rows are deleted, in commits.
const TRIM: i64 = 64;

/// The namespaces that are open in this process.
#[derive(Debug, Default)]
pub(super) struct Hub {
    open: Mutex<HashMap<i64, broadcast::Sender<Change>>>,
}

impl Hub {
    pub(super) fn of(&self, ns: i64) -> broadcast::Sender<Change> {
        let mut open = self.open();
        let sender = open
            .entry(ns)
            .or_insert_with(|| broadcast::Sender::new(LAG));
        sender.clone()
    }

    pub(super) fn tell(&self, changes: &[(i64, Change)]) {
        let open = self.open();
        for (ns, change) in changes {
            if let Some(sender) = open.get(ns) {
                // Nobody listening is no error.
                let _ = sender.send(*change);
            }
        }
    }

    pub(super) fn tell_all(&self, change: Change) {
        for sender in self.open().values() {
            let _ = sender.send(change);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<i64, broadcast::Sender<Change>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn stream(sender: &broadcast::Sender<Change>) -> BoxStream<'static, Change> {
    Box::pin(stream::unfold(
        sender.subscribe(),
        |mut receiver| async move {
            let change = match receiver.recv().await {
                Ok(change) => change,
                Err(broadcast::error::RecvError::Lagged(_)) => Change::Resync,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((change, receiver))
        },
    ))
}

/// How far this process has followed the others.
#[derive(Debug)]
pub(super) struct Follower {
    /// What `data_version` was.
    version: i64,
    /// The last row that has been told of.
    seen: i64,
}

impl Follower {
    pub(super) fn new(connection: &Connection) -> Done<Self> {
        Ok(Self {
            version: data_version(connection)?,
            seen: last(connection)?,
        })
    }

    /// Tells what others have committed since the last time.
    pub(super) fn follow(&mut self, connection: &Connection, hub: &Hub) -> Done<()> {
        let version = data_version(connection)?;
        if version == self.version {
            return Ok(());
        }
        let last = last(connection)?;
        self.tell(connection, last, hub)?;
        self.seen = last;
        self.version = version;
        Ok(())
    }

    /// After a commit of this process that left these rows: tells what others
    /// have committed just before.
    pub(super) fn passed(&mut self, connection: &Connection, own: Left, hub: &Hub) -> Done<()> {
        let told = self.tell(connection, own.first - 1, hub);
        self.seen = own.last;
        told
    }

    fn tell(&self, connection: &Connection, last: i64, hub: &Hub) -> Done<()> {
        if last <= self.seen {
            return Ok(());
        }
        let mut statement = statement::prepare(
            connection,
            "SELECT seq, ns, what FROM changes WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
        )?;
        let mut rows = statement.query((self.seen, last))?;
        let mut changes = Vec::new();
        let mut expected = self.seen + 1;
        while let Some(row) = rows.next()? {
            let what = row.get_ref(2)?;
            let read = row.get::<_, i64>(0)? == expected
                && what
                    .as_blob()
                    .is_ok_and(|what| decode(row.get_unwrap(1), what, &mut changes));
            if !read || changes.len() > TOLD {
                hub.tell_all(Change::Resync);
                return Ok(());
            }
            expected += 1;
        }
        hub.tell(&changes);
        Ok(())
    }
}

/// The rows that a commit left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    first: i64,
    last: i64,
}

/// Leaves the rows of a commit, one for each namespace, within its
/// transaction.
pub(super) fn leave(connection: &Connection, changes: &[(i64, Change)]) -> Done<Option<Left>> {
    // Several operations of a commit may say the same.
    let mut known = HashSet::new();
    let mut told: Vec<(i64, Vec<u8>)> = Vec::new();
    for (ns, change) in changes {
        let (kind, id) = encode(*change);
        if !known.insert((*ns, kind, id)) {
            continue;
        }
        let at = told.iter().position(|(of, _)| of == ns);
        let at = at.unwrap_or_else(|| {
            told.push((*ns, Vec::new()));
            told.len() - 1
        });
        told[at].1.push(kind);
        told[at].1.extend_from_slice(&id);
    }
    let mut left: Option<Left> = None;
    for (ns, mut what) in told {
        if what.len() > TOLD * RECORD {
            what.clear();
        }
        statement::prepare(connection, "INSERT INTO changes (ns, what) VALUES (?1, ?2)")?
            .execute((ns, what))?;
        let seq = connection.last_insert_rowid();
        if seq % TRIM == 0 {
            statement::prepare(connection, "DELETE FROM changes WHERE seq <= ?1")?
                .execute([seq - KEPT])?;
        }
        let first = left.map_or(seq, |left| left.first);
        left = Some(Left { first, last: seq });
    }
    Ok(left)
}

/// A change as it is kept: its kind, and its task.
const RECORD: usize = 17;
const NO_TASK: [u8; 16] = [0; 16];

fn encode(change: Change) -> (u8, [u8; 16]) {
    match change {
        Change::Task(id) => (1, id.to_bytes()),
        Change::Cancel(id) => (2, id.to_bytes()),
        Change::Queued => (3, NO_TASK),
        Change::Resync => (0, NO_TASK),
    }
}

/// Reads what a commit changed; false if that cannot be said.
fn decode(ns: i64, what: &[u8], into: &mut Vec<(i64, Change)>) -> bool {
    if what.is_empty() || !what.len().is_multiple_of(RECORD) {
        return false;
    }
    for record in what.chunks_exact(RECORD) {
        let Ok(id) = record[1..].try_into().map(TaskId::from_bytes) else {
            return false;
        };
        let change = match record[0] {
            1 => Change::Task(id),
            2 => Change::Cancel(id),
            3 => Change::Queued,
            _ => Change::Resync,
        };
        into.push((ns, change));
    }
    true
}

fn data_version(connection: &Connection) -> Done<i64> {
    let mut statement = statement::prepare(connection, "PRAGMA data_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

fn last(connection: &Connection) -> Done<i64> {
    let mut statement =
        statement::prepare(connection, "SELECT coalesce(max(seq), 0) FROM changes")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}
