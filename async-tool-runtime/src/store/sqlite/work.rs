//! What the operations of one transaction share, and write once at its end:
//! numbers of tasks, sessions, and what changed.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::changes::{self, Left};
use super::error::Done;
use super::rows::{self, Stored};
use super::sessions::{self, Moment, Observations, Renewal};
use super::statement;
use super::update::{self, Before};
use crate::store::sessions::Verdict;
use crate::store::{Change, Lease};
use crate::task::{ConcurrencyLimit, SessionId, Status, TaskRecord};

/// One transaction, or a look before one.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub(super) connection: &'a Connection,
    pub(super) sessions: &'a mut Observations,
    records: HashMap<i64, Records>,
    queues: HashMap<i64, Queues>,
    /// How many tasks hold a concurrency key, as far as anybody asked.
    holders: HashMap<(i64, Arc<str>), u32>,
    /// Sessions that got a renewal.
    renewed: HashMap<(i64, SessionId), Renewal>,
    /// Sessions that lost a task.
    disowned: HashSet<(i64, SessionId)>,
    changes: Vec<(i64, Change)>,
}

/// How many tasks a namespace has.
#[derive(Debug, Clone, Copy)]
struct Records {
    before: i64,
    now: i64,
}

/// Lengths of a namespace's queues.
#[derive(Debug, Default)]
struct Queues {
    tools: HashMap<Arc<str>, i64>,
    total: i64,
    changed: HashSet<Arc<str>>,
}

impl<'a> Work<'a> {
    pub(super) fn new(connection: &'a Connection, sessions: &'a mut Observations) -> Self {
        Self {
            connection,
            sessions,
            records: HashMap::new(),
            queues: HashMap::new(),
            holders: HashMap::new(),
            renewed: HashMap::new(),
            disowned: HashSet::new(),
            changes: Vec::new(),
        }
    }

    pub(super) fn changed(&mut self, ns: i64, change: Change) {
        self.changes.push((ns, change));
    }

    /// How many tasks a namespace has, ended ones included.
    pub(super) fn records(&mut self, ns: i64) -> Done<usize> {
        Ok(usize::try_from(self.count(ns)?.now).unwrap_or(0))
    }

    fn count(&mut self, ns: i64) -> Done<&mut Records> {
        Ok(match self.records.entry(ns) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let mut statement = statement::prepare(
                    self.connection,
                    "SELECT records FROM namespaces WHERE ns = ?1",
                )?;
                let now = statement.query_row([ns], |row| row.get(0))?;
                entry.insert(Records { before: now, now })
            }
        })
    }

    /// How many tasks of a tool are queued.
    pub(super) fn queued(&mut self, ns: i64, tool: &Arc<str>) -> Done<usize> {
        let queued = self.queues(ns)?.tools.get(tool).copied().unwrap_or(0);
        Ok(usize::try_from(queued).unwrap_or(0))
    }

    /// How many tasks of a namespace are queued.
    pub(super) fn queued_in_all(&mut self, ns: i64) -> Done<usize> {
        Ok(usize::try_from(self.queues(ns)?.total).unwrap_or(0))
    }

    fn queues(&mut self, ns: i64) -> Done<&mut Queues> {
        if !self.queues.contains_key(&ns) {
            let mut queues = Queues::default();
            let mut statement = statement::prepare(
                self.connection,
                "SELECT tool, queued FROM queues WHERE ns = ?1",
            )?;
            let mut lengths = statement.query([ns])?;
            while let Some(length) = lengths.next()? {
                let queued: i64 = length.get(1)?;
                queues.tools.insert(rows::text(length, 0)?, queued);
                queues.total += queued;
            }
            self.queues.insert(ns, queues);
        }
        Ok(self.queues.entry(ns).or_default())
    }

    fn queue(&mut self, ns: i64, tool: &Arc<str>, by: i64) -> Done<()> {
        let queues = self.queues(ns)?;
        *queues.tools.entry(Arc::clone(tool)).or_default() += by;
        queues.total += by;
        queues.changed.insert(Arc::clone(tool));
        Ok(())
    }

    /// Whether a task with this key could be claimed.
    pub(super) fn has_room(&mut self, ns: i64, concurrency: &[ConcurrencyLimit]) -> Done<bool> {
        for ConcurrencyLimit { key, limit } in concurrency {
            if self.holders(ns, key)? >= *limit {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holders(&mut self, ns: i64, key: &Arc<str>) -> Done<u32> {
        let place = (ns, Arc::clone(key));
        if let Some(holders) = self.holders.get(&place) {
            return Ok(*holders);
        }
        let mut statement = statement::prepare(
            self.connection,
            "SELECT count(*) FROM holders WHERE ns = ?1 AND key = ?2",
        )?;
        let holders = statement.query_row((ns, key.as_ref()), |row| row.get(0))?;
        self.holders.insert(place, holders);
        Ok(holders)
    }

    /// Keeps the rows of the keys that a task holds, now that its owner is not
    /// `before` any more.
    fn hold(
        &mut self,
        ns: i64,
        seq: i64,
        before: Option<SessionId>,
        record: &TaskRecord,
    ) -> Done<()> {
        let sql = match (before, record.owner) {
            (None, Some(_)) => {
                "INSERT INTO holders (ns, key, task) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
            }
            (Some(_), None) => "DELETE FROM holders WHERE ns = ?1 AND key = ?2 AND task = ?3",
            _ => return Ok(()),
        };
        for ConcurrencyLimit { key, .. } in record.concurrency.iter() {
            statement::prepare(self.connection, sql)?.execute((ns, key.as_ref(), seq))?;
            self.holders.remove(&(ns, Arc::clone(key)));
        }
        Ok(())
    }

    /// Says that a session owns something from now on, or still does.
    pub(super) fn renew(&mut self, ns: i64, lease: Lease, moment: Moment) {
        let renewal = Renewal {
            lease: lease.duration,
            moment,
        };
        self.renewed.insert((ns, lease.session), renewal);
    }

    /// Which sessions of a namespace are dead, after all that this transaction
    /// has done.
    pub(super) fn judge(&mut self, ns: i64, moment: Moment) -> Done<Verdict> {
        sessions::look(self.sessions, self.connection, ns, moment, &self.renewed)
    }

    /// Counts a new task.
    pub(super) fn added(&mut self, ns: i64, seq: i64, record: &TaskRecord) -> Done<()> {
        self.count(ns)?.now += 1;
        if record.status == Status::Queued {
            self.queue(ns, &record.tool, 1)?;
        }
        self.hold(ns, seq, None, record)
    }

    /// Counts a task that is no more.
    pub(super) fn removed(&mut self, ns: i64, seq: i64, record: &TaskRecord) -> Done<()> {
        self.count(ns)?.now -= 1;
        if record.status == Status::Queued {
            self.queue(ns, &record.tool, -1)?;
        }
        if let Some(owner) = record.owner {
            self.disowned.insert((ns, owner));
        }
        let gone = TaskRecord {
            owner: None,
            ..record.clone()
        };
        self.hold(ns, seq, record.owner, &gone)
    }

    /// Applies a transition to a task, and keeps what it changed.
    pub(super) fn change<T>(
        &mut self,
        ns: i64,
        stored: &mut Stored,
        transition: impl FnOnce(&mut TaskRecord) -> T,
    ) -> Done<T> {
        let before = Before::of(&stored.record);
        let outcome = transition(&mut stored.record);
        update::write(self.connection, stored.seq, &before, &stored.record)?;

        let record = &stored.record;
        match (before.status, record.status) {
            (Status::Queued, after) if after != Status::Queued => {
                self.queue(ns, &record.tool, -1)?;
            }
            (before, Status::Queued) if before != Status::Queued => {
                self.queue(ns, &record.tool, 1)?;
            }
            _ => {}
        }
        if before.owner != record.owner {
            if let Some(owner) = before.owner {
                self.disowned.insert((ns, owner));
            }
            self.hold(ns, stored.seq, before.owner, &stored.record)?;
        }
        let record = &stored.record;
        if record.status.is_terminal() && !before.status.is_terminal() {
            // Nobody runs it again.
            self.forget("DELETE FROM arguments WHERE task = ?1", stored.seq)?;
            self.forget("DELETE FROM steps WHERE task = ?1", stored.seq)?;
            if record.status != Status::Completed {
                self.forget("DELETE FROM results WHERE task = ?1", stored.seq)?;
            }
        }
        Ok(outcome)
    }

    /// Runs a statement that deletes what belongs to a task.
    pub(super) fn forget(&self, sql: &'static str, seq: i64) -> Done<()> {
        statement::prepare(self.connection, sql)?.execute([seq])?;
        Ok(())
    }

    /// Writes what was collected, and returns the changes to be told.
    pub(super) fn complete(mut self) -> Done<Completed> {
        let mut observed = Vec::new();
        for (ns, records) in &self.records {
            if records.now != records.before {
                let mut statement = statement::prepare(
                    self.connection,
                    "UPDATE namespaces SET records = ?2 WHERE ns = ?1",
                )?;
                statement.execute((ns, records.now))?;
            }
        }
        for (ns, queues) in &self.queues {
            for tool in &queues.changed {
                let mut statement = statement::prepare(
                    self.connection,
                    "INSERT INTO queues (ns, tool, queued) VALUES (?1, ?2, ?3) \
                     ON CONFLICT DO UPDATE SET queued = excluded.queued",
                )?;
                statement.execute((ns, tool.as_ref(), queues.tools.get(tool)))?;
            }
        }
        for ((ns, session), Renewal { lease, moment }) in self.renewed.drain() {
            if self.disowned.remove(&(ns, session)) && !owns(self.connection, ns, session)? {
                end_session(self.connection, ns, session)?;
                continue;
            }
            let beats = self.sessions.next_beat();
            let mut statement = statement::prepare(
                self.connection,
                "INSERT INTO sessions (ns, session, beats, lease) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT DO UPDATE SET beats = excluded.beats, lease = excluded.lease",
            )?;
            statement.execute((ns, session.to_bytes(), beats, rows::millis(lease)))?;
            observed.push((ns, session, beats, lease, moment));
        }
        for (ns, session) in self.disowned.drain() {
            if !owns(self.connection, ns, session)? {
                end_session(self.connection, ns, session)?;
            }
        }
        Ok(Completed {
            left: changes::leave(self.connection, &self.changes)?,
            changes: self.changes,
            observed,
        })
    }
}

/// What a transaction did, to be told once it is committed.
#[derive(Debug)]
pub(super) struct Completed {
    pub(super) changes: Vec<(i64, Change)>,
    pub(super) left: Option<Left>,
    /// Sessions of this process, as they are now.
    pub(super) observed: Vec<(i64, SessionId, i64, Duration, Moment)>,
}

fn owns(connection: &Connection, ns: i64, session: SessionId) -> Done<bool> {
    let mut statement = statement::prepare(
        connection,
        "SELECT 1 FROM tasks INDEXED BY tasks_owner WHERE ns = ?1 AND owner = ?2 LIMIT 1",
    )?;
    let found = statement.query_row((ns, session.to_bytes()), |_| Ok(()));
    Ok(found.optional()?.is_some())
}

fn end_session(connection: &Connection, ns: i64, session: SessionId) -> Done<()> {
    let mut statement = statement::prepare(
        connection,
        "DELETE FROM sessions WHERE ns = ?1 AND session = ?2",
    )?;
    statement.execute((ns, session.to_bytes()))?;
    Ok(())
}
