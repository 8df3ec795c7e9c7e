//! Telling dead sessions from living ones.
//!
//! Each renewal changes a session's count. A session is dead when this process
//! has seen its count unchanged for one lease, on its own monotonic clock:
//! wall clocks that jump and machines that sleep kill nobody.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use super::error::Done;
use super::rows;
use super::statement;
use crate::task::SessionId;

/// The time as it goes on for whoever asked.
///
/// Taken by the caller, whose clock may be a paused one, and read in the
/// thread that carries out the call, perhaps much later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    asked: Instant,
    sent: std::time::Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            asked: Instant::now(),
            sent: std::time::Instant::now(),
        }
    }

    pub(super) fn by_now(self) -> Instant {
        self.asked + self.sent.elapsed()
    }
}

/// What this process has seen of sessions.
#[derive(Debug)]
pub(super) struct Observations {
    seen: HashMap<(i64, SessionId), Seen>,
    /// The count that the last renewal of this process got.
    beats: i64,
}

#[derive(Debug)]
struct Seen {
    beats: i64,
    since: Instant,
}

/// A renewal that is not written yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renewal {
    pub(super) lease: Duration,
    pub(super) moment: Moment,
}

/// What is known of the sessions of a namespace.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) dead: Vec<SessionId>,
    /// When the next one may be dead.
    pub(super) next: Option<Duration>,
}

impl Verdict {
    /// There is a session whose lease lasts so long.
    fn lasts(&mut self, left: Duration) {
        self.next = Some(self.next.map_or(left, |next| next.min(left)));
    }
}

impl Default for Observations {
    /// Counts begin anywhere: a session that comes back, perhaps by another
    /// process, must not look like the one that was seen before.
    fn default() -> Self {
        let anywhere = RandomState::new().hash_one(());
        Self {
            seen: HashMap::new(),
            beats: i64::from(u32::try_from(anywhere >> 32).unwrap_or(0)) << 30,
        }
    }
}

impl Observations {
    /// The count of a renewal: one that no other has.
    pub(super) fn next_beat(&mut self) -> i64 {
        self.beats += 1;
        self.beats
    }

    /// Remembers what a renewal of this process has written.
    pub(super) fn saw(&mut self, ns: i64, session: SessionId, beats: i64, moment: Moment) {
        let since = moment.by_now();
        self.seen.insert((ns, session), Seen { beats, since });
    }

    /// Looks at all sessions of a namespace, and forgets those that are gone.
    /// Those that the transaction has `renewed` live on, whatever their rows say
    /// until it ends.
    pub(super) fn look(
        &mut self,
        connection: &Connection,
        ns: i64,
        moment: Moment,
        renewed: &HashMap<(i64, SessionId), Renewal>,
    ) -> Done<Verdict> {
        // A count was unchanged until before it was read; it is known from
        // after it was read.
        let until = moment.by_now();
        let mut statement = statement::prepare(
            connection,
            "SELECT session, beats, lease FROM sessions WHERE ns = ?1",
        )?;
        let mut sessions = statement.query([ns])?;
        let mut verdict = Verdict::default();
        let mut there = HashSet::new();
        while let Some(row) = sessions.next()? {
            let session = SessionId::from_bytes(row.get(0)?);
            let beats: i64 = row.get(1)?;
            let lease = Duration::from_millis(rows::number(row, 2)?);
            there.insert(session);
            if renewed.contains_key(&(ns, session)) {
                continue;
            }
            let seen = self.seen.get(&(ns, session));
            let since = seen
                .filter(|seen| seen.beats == beats)
                .map(|seen| seen.since);
            let left = match since {
                Some(since) => lease.saturating_sub(until.saturating_duration_since(since)),
                None => {
                    self.saw(ns, session, beats, moment);
                    lease.max(Duration::from_millis(1))
                }
            };
            if left.is_zero() {
                verdict.dead.push(session);
            } else {
                verdict.lasts(left);
            }
        }
        // Some of them have no row yet.
        for ((of, _), renewal) in renewed {
            if *of == ns {
                verdict.lasts(renewal.lease);
            }
        }
        self.seen
            .retain(|(of, session), _| *of != ns || there.contains(session));
        Ok(verdict)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}
