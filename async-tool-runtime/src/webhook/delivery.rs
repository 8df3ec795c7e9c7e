//! What came of telling a notice, as it is kept with its task
//! ([`Notice::state`](crate::store::Notice::state)).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use crate::progress::shortened;
use crate::task::Timestamp;

/// Longest error that is kept, in characters.
const LONGEST_ERROR: usize = 200;
/// A claim may come this much earlier than asked for, since stores and workers
/// round.
const EARLY: Duration = Duration::from_millis(50);
/// Why a message is given up that waited for its host to the end.
const BUSY: &str = "its host had too much to do until the time was over";

/// Everybody who is told of a notice, by name.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Deliveries {
    #[serde(default)]
    targets: BTreeMap<String, Delivery>,
}

/// The message to one of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) outcome: Outcome,
    /// How often it was tried; a busy host does not count.
    pub(super) tries: u32,
    /// How often its host was busy, since the last try.
    #[serde(default, skip_serializing_if = "is_zero")]
    waits: u32,
    /// When that was so; milliseconds since 1970 on the store's clock, as `due`.
    at: Timestamp,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is tried again.
    Pending,
    Delivered,
    GivenUp,
}

impl Outcome {
    /// As metrics have it; a try after which there are others has failed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "failed",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Try {
    Delivered,
    /// The receiver is gone for good.
    Never(String),
    Failed {
        error: String,
        /// The pause that the receiver wants.
        asked: Option<Duration>,
    },
    /// Its host has enough to do; nothing was sent.
    Busy,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Deliveries {
    /// Reads what was kept. What cannot be read is as if nothing had been told:
    /// better twice than never.
    pub(super) fn read(state: Option<&str>) -> Self {
        state
            .and_then(|state| serde_json::from_str(state).ok())
            .unwrap_or_default()
    }

    pub(super) fn write(&self) -> String {
        // Strings and numbers: it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether somebody is to be told now.
    pub(super) fn is_due(&self, name: &str, now: Timestamp) -> bool {
        match self.targets.get(name) {
            None => true,
            Some(delivery) => delivery.due.is_some_and(|due| due <= now.plus(EARLY)),
        }
    }

    /// Keeps what came of a try, at this time, of a message about something that
    /// happened at `since`.
    pub(super) fn keep(
        &mut self,
        name: &str,
        tried: Try,
        schedule: &Schedule,
        since: Timestamp,
        now: Timestamp,
    ) -> &Delivery {
        let new = || Delivery {
            outcome: Outcome::Pending,
            tries: 0,
            waits: 0,
            at: now,
            due: None,
            error: None,
        };
        let delivery = self.targets.entry(name.to_owned()).or_insert_with(new);
        delivery.at = now;
        if tried == Try::Busy {
            delivery.waits = delivery.waits.saturating_add(1);
            let pause = schedule.wait_for_host(delivery.waits, now.since(since));
            delivery.due = pause.map(|pause| now.plus(pause));
            if pause.is_none() {
                delivery.outcome = Outcome::GivenUp;
                delivery.error = Some(BUSY.to_owned());
            }
            return delivery;
        }
        delivery.tries = delivery.tries.saturating_add(1);
        delivery.waits = 0;
        delivery.due = None;
        match tried {
            Try::Delivered => {
                delivery.outcome = Outcome::Delivered;
                delivery.error = None;
            }
            Try::Never(error) => {
                delivery.outcome = Outcome::GivenUp;
                delivery.error = Some(shortened(error, LONGEST_ERROR));
            }
            Try::Failed { error, asked } => {
                delivery.error = Some(shortened(error, LONGEST_ERROR));
                match schedule.pause(delivery.tries, asked, now.since(since)) {
                    Some(pause) => delivery.due = Some(now.plus(pause)),
                    None => delivery.outcome = Outcome::GivenUp,
                }
            }
            Try::Busy => {}
        }
        delivery
    }

    /// Those who are to be told again.
    pub(super) fn pending(&self) -> impl Iterator<Item = Arc<str>> {
        let targets = self.targets.iter();
        targets
            .filter(|(_, delivery)| delivery.outcome == Outcome::Pending)
            .map(|(name, _)| name.as_str().into())
    }

    /// How long until somebody is to be told.
    pub(super) fn again(&self, now: Timestamp) -> Option<Duration> {
        let due = self.targets.values().filter_map(|delivery| delivery.due);
        Some(due.min()?.since(now))
    }
}
