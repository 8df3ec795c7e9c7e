//! What the attempts of a task did, and when.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Outcome, SessionId, Status, TaskRecord, Timestamp};
use crate::progress::shortened;

/// What the attempts of a task did, and when: names and times, never arguments
/// or results.
///
/// Workers keep it as the text that is [`TaskRecord::history`], in at most
/// [`MAX_BYTES`](Self::MAX_BYTES); where there is not enough room the oldest of
/// it goes first. [`History::of`] reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct History {
    /// The attempts, the oldest first.
    #[serde(default)]
    pub attempts: Vec<AttemptHistory>,
    /// How many attempts before those are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: u32,
}

/// One attempt of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptHistory {
    /// Which one; 1 is the first.
    pub number: u32,
    /// The first digits of the session that executed it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Arc<str>>,
    /// When it started, where that is known: a worker that died may have
    /// written nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// How long it took, where that is known.
    #[serde(
        default,
        rename = "took_ms",
        with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub took: Option<Duration>,
    /// How it ended; none while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<AttemptEnd>,
    /// Why, in a few words: what clients read while the task waits for its next
    /// attempt, or the code of its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it did, in the order in which it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepHistory>,
    /// How many steps before those are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_steps: u32,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptEnd {
    /// And the task with it, with a result.
    Completed,
    /// And the task with it, with an error.
    Failed,
    /// And the task with it, on request.
    Cancelled,
    /// Another one was to follow.
    Retried,
    /// Its worker died, or was taken for dead.
    Interrupted,
    /// As a newer version of this program knows.
    #[serde(other)]
    Other,
}

/// A step of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepHistory {
    /// Its name; of a question its number in the attempt.
    pub name: Arc<str>,
    /// What it is.
    #[serde(default)]
    pub kind: StepKind,
    /// How long after the attempt's start it began; none if that is not known.
    #[serde(
        default,
        rename = "after_ms",
        with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub after: Option<Duration>,
    /// How long it took; none while it goes on.
    #[serde(
        default,
        rename = "took_ms",
        with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub took: Option<Duration>,
    /// How it ended; none while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<StepEnd>,
}

/// What a step of an attempt is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepKind {
    /// A step of its [progress](crate::Progress::steps).
    #[default]
    Progress,
    /// A [recorded step](crate::TaskContext::step).
    Recorded,
    /// A [question](crate::TaskContext::ask) to its caller.
    Question,
    /// What a newer version of this program knows.
    #[serde(other)]
    Other,
}

/// How a step of an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepEnd {
    /// It was done, its result recorded, the question answered.
    Done,
    /// An earlier attempt had recorded its result.
    Replayed,
    /// It gave no result, or the question was taken back.
    Failed,
    /// As a newer version of this program knows.
    #[serde(other)]
    Other,
}

/// The text that a record keeps.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    version: u32,
    #[serde(flatten)]
    history: T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl History {
    /// Most bytes that a record keeps of it.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// Most attempts in it.
    pub const MAX_ATTEMPTS: usize = 20;
    /// Most steps in one attempt of it.
    pub const MAX_STEPS: usize = 200;

    /// What a newer program writes that this one cannot read has a greater one.
    const VERSION: u32 = 1;
    /// Most characters of a reason.
    const MAX_REASON: usize = 200;

    /// The history of a task, as far as it is known: what its workers wrote, and
    /// what the record itself tells. A task that one attempt executed without
    /// steps has nothing but the latter.
    ///
    /// Text of a newer version, or that is none of ours, counts as left out.
    pub fn of(record: &TaskRecord) -> Self {
        let mut history = match record.history.as_deref() {
            None => Self::default(),
            Some(text) => Self::parse(text).unwrap_or_else(|| Self {
                omitted: record.attempt.saturating_sub(1),
                ..Self::default()
            }),
        };
        history.add_missing(record.attempt);
        for attempt in &mut history.attempts {
            if attempt.number < record.attempt && attempt.end.is_none() {
                attempt.end = Some(AttemptEnd::Interrupted);
            }
        }
        if let Some(last) = history.attempts.last_mut()
            && last.number == record.attempt
        {
            last.tell(record);
        }
        history
    }

    fn parse(text: &str) -> Option<Self> {
        let Version { version } = serde_json::from_str(text).ok()?;
        if version > Self::VERSION {
            return None;
        }
        let kept: Kept<Self> = serde_json::from_str(text).ok()?;
        Some(kept.history)
    }

    /// Adds those up to this one of which nobody wrote anything.
    fn add_missing(&mut self, attempt: u32) {
        let known = self
            .attempts
            .last()
            .map_or(self.omitted, |last| last.number);
        let kept = u32::try_from(Self::MAX_ATTEMPTS).unwrap_or(u32::MAX);
        for number in known.max(attempt.saturating_sub(kept)) + 1..=attempt {
            self.attempts.push(AttemptHistory {
                number,
                ..AttemptHistory::default()
            });
        }
        let surplus = self.attempts.len().saturating_sub(Self::MAX_ATTEMPTS);
        self.attempts.drain(..surplus);
        if let Some(first) = self.attempts.first() {
            self.omitted = first.number.saturating_sub(1);
        }
    }

    /// The text for the record. What has no room in it is left out from here on.
    pub(crate) fn write(&mut self) -> Arc<str> {
        loop {
            let kept = Kept {
                version: Self::VERSION,
                history: &*self,
            };
            // There is no map with odd keys in it, which alone could fail.
            let text = serde_json::to_string(&kept).unwrap_or_default();
            if text.len() <= Self::MAX_BYTES || !self.thin() {
                return text.into();
            }
        }
    }

    /// Leaves out the older half of the oldest steps; the attempts before the
    /// last one if they have none. Whether there was anything to leave out.
    fn thin(&mut self) -> bool {
        let with_steps = self.attempts.iter().position(|it| !it.steps.is_empty());
        let last = self.attempts.len().saturating_sub(1);
        match with_steps {
            Some(index) if index < last || last == 0 => {
                let attempt = &mut self.attempts[index];
                attempt.leave_out(attempt.steps.len().div_ceil(2));
            }
            _ if last > 0 => {
                self.attempts.remove(0);
                self.omitted += 1;
            }
            _ => return false,
        }
        true
    }
}

impl AttemptHistory {
    /// Adds a step; beyond [`History::MAX_STEPS`] instead of the oldest one.
    pub(crate) fn add(&mut self, step: StepHistory) {
        let surplus = (self.steps.len() + 1).saturating_sub(History::MAX_STEPS);
        self.leave_out(surplus);
        self.steps.push(step);
    }

    /// Says how it ended, after which time, and why.
    pub(crate) fn close(&mut self, end: AttemptEnd, took: Option<Duration>, reason: Option<&str>) {
        self.end = Some(end);
        self.took = took;
        self.reason = reason.map(|it| shortened(it.to_owned(), History::MAX_REASON));
    }

    fn leave_out(&mut self, steps: usize) {
        let left_out = self.steps.drain(..steps.min(self.steps.len())).len();
        self.omitted_steps += u32::try_from(left_out).unwrap_or(u32::MAX);
    }

    /// Adds what the record tells of its last attempt.
    fn tell(&mut self, record: &TaskRecord) {
        self.started_at = self.started_at.or(record.started_at);
        if self.end.is_some() {
            return;
        }
        self.worker = self.worker.take().or_else(|| record.owner.map(worker));
        let ended = record.finished_at.zip(self.started_at);
        let took = ended.map(|(finished, started)| finished.since(started));
        if let Some(outcome) = &record.outcome {
            let (end, reason) = AttemptEnd::of(outcome);
            self.close(end, took, reason);
        } else if record.status == Status::Queued {
            // Its worker died, else it would have said why.
            self.close(AttemptEnd::Interrupted, None, None);
        }
    }
}

impl AttemptEnd {
    /// How the last attempt of a task ended that ended so, and why.
    pub(crate) fn of(outcome: &Outcome) -> (Self, Option<&str>) {
        match outcome {
            Outcome::Completed(_) => (Self::Completed, None),
            Outcome::Cancelled(_) => (Self::Cancelled, None),
            Outcome::Failed(failure) if failure.code == "interrupted" => {
                (Self::Interrupted, Some(&failure.code))
            }
            Outcome::Failed(failure) => (Self::Failed, Some(&failure.code)),
        }
    }
}

/// The first digits of a session's id: enough to tell workers apart.
fn worker(session: SessionId) -> Arc<str> {
    let [a, b, c, d, ..] = session.to_bytes();
    format!("{:08x}", u32::from_be_bytes([a, b, c, d])).into()
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Durations as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::task::record::millis;

    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(millis).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let millis = Option::<u64>::deserialize(deserializer)?;
        Ok(millis.map(Duration::from_millis))
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
