//! Writing the log back into the file, now and then, after the callers have
//! been answered. SQLite by itself would do it before.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connection::set_patience;
use super::error::Done;
use super::statement;

/// A checkpoint is made when the log has so many pages that are not in the
/// file yet.
const ENOUGH: i64 = 2000;
/// With this many pages the log has got out of hand, because somebody always
/// reads: then a checkpoint waits for readers, so that the log can begin anew.
const TOO_MANY: i64 = 32_000;
/// How long it waits: others cannot write meanwhile.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long none waits once one has waited in vain, as it does for a backup
/// that takes minutes.
const PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Checkpoints {
    too_many: i64,
    /// How many pages the log had at the last one.
    tried: i64,
    /// When one last waited for readers in vain.
    in_vain: Option<Instant>,
    /// So that the same trouble is logged once.
    complained: bool,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self::beyond(TOO_MANY)
    }
}

/// What SQLite says of the log.
struct Log {
    /// Somebody reads or writes who should not.
    busy: bool,
    pages: i64,
    /// How many of them are in the file.
    written: i64,
}

impl Checkpoints {
    /// A log of so many pages has got out of hand.
    pub(super) fn beyond(too_many: i64) -> Self {
        Self {
            too_many,
            tried: 0,
            in_vain: None,
            complained: false,
        }
    }

    /// Makes one if it is time.
    pub(super) fn after_commit(&mut self, connection: &Connection) -> Done<()> {
        let log = checkpoint(connection, "NOOP")?;
        if log.pages < self.tried {
            // It began anew.
            self.tried = 0;
        }
        let rests = self.in_vain.is_some_and(|at| at.elapsed() < PAUSE);
        if log.pages >= self.too_many && !rests {
            self.wait(connection)?;
        } else if log.pages - log.written.max(self.tried) >= ENOUGH {
            checkpoint(connection, "PASSIVE")?;
        } else {
            return Ok(());
        }
        self.tried = log.pages;
        Ok(())
    }

    fn wait(&mut self, connection: &Connection) -> Done<()> {
        let patience = set_patience(PATIENCE);
        let done = checkpoint(connection, "RESTART");
        set_patience(patience);
        // Where somebody is in the way, it has done what it could without.
        if !done?.busy {
            self.in_vain = None;
            self.complained = false;
            return Ok(());
        }
        self.in_vain = Some(Instant::now());
        if !self.complained {
            self.complained = true;
            tracing::warn!(
                "the log of the SQLite store grows, as somebody reads the file without a pause"
            );
        }
        Ok(())
    }
}

fn checkpoint(connection: &Connection, mode: &str) -> Done<Log> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let mut statement = statement::prepare(connection, &sql)?;
    Ok(statement.query_row([], |row| {
        Ok(Log {
            busy: row.get(0)?,
            pages: row.get(1)?,
            written: row.get(2)?,
        })
    })?)
}
