//! Telling dead sessions from living ones.
//!
//! Each renewal changes a session's count. A session is dead when this process
//! has seen its count unchanged for one lease, on its own monotonic clock:
//! wall clocks that jump and machines that sleep kill nobody.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::task::SessionId;

/// A session as the store has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) session: SessionId,
    pub(super) beats: i64,
    pub(super) lease: Duration,
}

/// What this process has seen of the sessions of each namespace.
#[derive(Debug)]
pub(super) struct Observations<N> {
    seen: HashMap<(N, SessionId), Seen>,
    /// The count that the last renewal of this process got.
    beats: i64,
}

#[derive(Debug)]
struct Seen {
    beats: i64,
    since: Instant,
}

/// What is known of the sessions of a namespace.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) dead: Vec<Kept>,
    /// When the next one may be dead.
    pub(super) next: Option<Duration>,
}

impl Verdict {
    /// There is a session whose lease lasts so long.
    pub(super) fn lasts(&mut self, left: Duration) {
        self.next = Some(self.next.map_or(left, |next| next.min(left)));
    }
}

impl<N> Default for Observations<N> {
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

impl<N: Copy + Eq + Hash> Observations<N> {
    /// The count of a renewal: one that no other has.
    pub(super) fn next_beat(&mut self) -> i64 {
        self.beats += 1;
        self.beats
    }

    /// Remembers that a session had this count at that moment.
    pub(super) fn saw(&mut self, namespace: N, session: SessionId, beats: i64, since: Instant) {
        let seen = Seen { beats, since };
        self.seen.insert((namespace, session), seen);
    }

    /// Judges all sessions of a namespace, which were read between two moments,
    /// and forgets those that are gone.
    pub(super) fn judge(
        &mut self,
        namespace: N,
        sessions: &[Kept],
        from: Instant,
        to: Instant,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let mut there = HashSet::new();
        for kept in sessions {
            there.insert(kept.session);
            let seen = self.seen.get(&(namespace, kept.session));
            // A count was unchanged until before it was read; it is known from
            // after it was read.
            let left = match seen.filter(|seen| seen.beats == kept.beats) {
                Some(seen) => {
                    let unchanged = from.saturating_duration_since(seen.since);
                    kept.lease.saturating_sub(unchanged)
                }
                None => {
                    self.saw(namespace, kept.session, kept.beats, to);
                    kept.lease.max(Duration::from_millis(1))
                }
            };
            if left.is_zero() {
                verdict.dead.push(*kept);
            } else {
                verdict.lasts(left);
            }
        }
        self.seen
            .retain(|(of, session), _| *of != namespace || there.contains(session));
        verdict
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}
