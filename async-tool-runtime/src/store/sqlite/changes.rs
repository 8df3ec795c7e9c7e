//! Telling others of this process what changed, and finding out what other
//! processes changed.
//!
//! Each commit leaves a row that says what it changed; the last of them are
//! kept. `PRAGMA data_version` tells, for the price of a look into shared
//! memory, whether anybody else has committed anything; only then are rows
//! read.

use std::collections::HashSet;

use rusqlite::Connection;

use super::error::Done;
use super::statement;
use crate::store::hub::Hub;
use crate::store::{Change, encoding};

/// How many changes are told one by one.
const TOLD: usize = 1000;
/// How many commits other processes can look back.
const KEPT: i64 = 1024;
/// How often surplus rows are deleted, in commits.
const TRIM: i64 = 64;

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
    pub(super) fn follow(&mut self, connection: &Connection, hub: &Hub<i64>) -> Done<()> {
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
    pub(super) fn passed(
        &mut self,
        connection: &Connection,
        own: Left,
        hub: &Hub<i64>,
    ) -> Done<()> {
        let told = self.tell(connection, own.first - 1, hub);
        self.seen = own.last;
        told
    }

    fn tell(&self, connection: &Connection, last: i64, hub: &Hub<i64>) -> Done<()> {
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
            let what = row.get_ref(2)?.as_blob().ok();
            let told = what
                .filter(|_| row.get::<_, i64>(0) == Ok(expected))
                .and_then(encoding::changes);
            let ns: i64 = row.get(1)?;
            let read = told.is_some();
            changes.extend(told.into_iter().flatten().map(|change| (ns, change)));
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
        let bytes = encoding::change(*change);
        if !known.insert((*ns, bytes)) {
            continue;
        }
        let at = told.iter().position(|(of, _)| of == ns);
        let at = at.unwrap_or_else(|| {
            told.push((*ns, Vec::new()));
            told.len() - 1
        });
        told[at].1.extend_from_slice(&bytes);
    }
    let mut left: Option<Left> = None;
    for (ns, mut what) in told {
        if what.len() > TOLD * encoding::CHANGE {
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

fn data_version(connection: &Connection) -> Done<i64> {
    let mut statement = statement::prepare(connection, "PRAGMA data_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

fn last(connection: &Connection) -> Done<i64> {
    let mut statement =
        statement::prepare(connection, "SELECT coalesce(max(seq), 0) FROM changes")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}
