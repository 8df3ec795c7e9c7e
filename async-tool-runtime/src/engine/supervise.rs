//! Starts what was claimed, and decides what becomes of it afterwards.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument;

use super::Engine;
use super::admission::Slot;
use super::attempt::{Attempt, Clocks, Ended, drive, run};
use super::circuit::Pass;
use super::history::Timeline;
use super::inquiry::EngineDesk;
use super::journal::EngineJournal;
use super::stop::Cause;
use super::worker::{Live, Said};
use crate::catalog::Entry;
use crate::context::{Facts, TaskContext};
use crate::descriptor::Retry;
use crate::input::Inbox;
use crate::log::TaskLog;
use crate::progress::Progress;
use crate::steps::{Standing, StepBook};
use crate::store::{Outcome, TaskRecord};
use crate::telemetry::spans;

/// What becomes of a task after an attempt.
#[derive(Debug)]
pub(super) enum Verdict {
    End(Outcome),
    /// Another attempt after a pause; what clients read meanwhile.
    Again(Duration, String),
}

impl Engine {
    /// Starts a task; `claimed` is when its claim was sent.
    pub(super) fn execute(
        self: &Arc<Self>,
        record: TaskRecord,
        slot: Slot,
        pass: Pass,
        claimed: Instant,
    ) {
        let Some(entry) = self.catalog.get(&record.tool).cloned() else {
            // Only tools of the catalog are claimed.
            return;
        };
        let hub = Arc::clone(&self.hub);
        let id = record.id;
        let clocks = Clocks::of(&record, &entry);
        let history = Arc::new(Timeline::of(&record));
        let timeline = Arc::clone(&history);
        let progress = Progress::new(move |step| {
            timeline.entered(step);
            hub.wake(id);
        });
        let said = Said {
            progress,
            log: TaskLog::new(record.attempt, self.clock.clone()),
            history,
        };
        let live = Live::new(record, slot, pass, &clocks, said, claimed);
        let live = Arc::new(live);
        let Some(earlier) = self.worker.add(Arc::clone(&live)) else {
            return;
        };
        // What was told of it as queued is over.
        self.hub.wake(id);
        self.bound_probe(&live);
        let engine = Arc::clone(self);
        let (span, running) = self.telemetry.attempt(&live.record);
        let supervise = async move {
            let _running = running;
            let _over = live.over.clone().drop_guard();
            alone(&earlier, &live).await;
            engine.known_to_be_ours(&live).await;
            let (attempt, ended) = (Arc::clone(&live), Arc::clone(&engine));
            engine.supervise(entry, attempt, clocks.begin()).await;
            // Taken until the body has really stopped.
            ended.end_slot(&live);
        };
        tokio::spawn(supervise.instrument(span));
    }

    /// A claim whose answer took longer than a lease to come, because this
    /// process stood still meanwhile, may be somebody else's by now: waits until
    /// a heartbeat has told, or there is nothing more to hope for.
    async fn known_to_be_ours(&self, live: &Live) {
        const PAUSE: Duration = Duration::from_millis(10);
        let (id, epoch) = (live.record.id, live.record.epoch);
        while live.stop.cause().is_none() && self.worker.standing(id, epoch) == Standing::Unknown {
            let _ = timeout(PAUSE, live.stop.token().cancelled()).await;
        }
    }

    async fn supervise(self: Arc<Self>, entry: Arc<Entry>, live: Arc<Live>, clocks: Clocks) {
        let started = Instant::now();
        let ended = if let Some(cause) = live.stop.cause() {
            Ended::stopped(cause)
        } else {
            let attempt = run(
                Arc::clone(&entry),
                self.context(&entry, &live, &clocks),
                Arc::clone(&live.record.arguments),
                Arc::clone(&self.state),
                self.config.max_result,
            );
            let attempt = tokio::spawn(attempt.in_current_span());
            drive(attempt, &live.stop, &clocks).await
        };
        let took = started.elapsed();
        self.telemetry.meters.tool(&entry.name).attempt_ended(took);
        spans::attempt_ended(ended.outcome.as_ref());
        self.judge(&live, ended.success);
        // What people took to answer says nothing of when a slot becomes free.
        if !entry.descriptor.interactive {
            self.worker.slots.observe(&entry.name, took);
        }

        let verdict = ended.outcome.and_then(|outcome| {
            let (retry, cause) = (entry.descriptor.retry.as_ref(), live.stop.cause());
            verdict(outcome, &live.record, cause, retry, clocks.deadline)
        });
        let again = matches!(verdict, Some(Verdict::Again(..)));
        tracing::debug!(again, "the attempt ended");
        match (verdict, ended.unstoppable) {
            (Some(verdict), None) => {
                self.settle(&live, verdict, false).await;
                self.leave(&live);
            }
            (Some(Verdict::End(outcome)), Some(body)) => {
                self.settle(&live, Verdict::End(outcome), true).await;
                self.linger(&live, body).await;
                self.worker.unlinger(&live);
                self.let_go(&live).await;
            }
            // Nothing may be written, or another attempt must not begin while
            // this one goes on.
            (None | Some(Verdict::Again(..)), Some(body)) => {
                self.linger(&live, body).await;
                self.worker.forsake(&live);
                self.worker.unlinger(&live);
            }
            (None, None) => {
                self.worker.forsake(&live);
                self.leave(&live);
            }
        }
    }

    fn leave(&self, live: &Live) {
        self.worker.remove(live);
        self.hub.wake(live.record.id);
    }

    /// Waits until the body of a task that is over has really stopped.
    async fn linger(&self, live: &Arc<Live>, body: Attempt) {
        self.worker.linger(live);
        self.leave(live);
        let _ = body.await;
        tracing::info!("the body of an ended task has stopped at last");
    }

    fn context(self: &Arc<Self>, entry: &Entry, live: &Arc<Live>, clocks: &Clocks) -> TaskContext {
        let record = &live.record;
        let facts = Facts {
            id: record.id,
            tool: record.tool.to_string(),
            attempt: record.attempt,
            epoch: record.epoch,
            principal: record.principal.clone(),
            deadline: record.deadline.into(),
            ends: clocks.ends(),
            trace: spans::place(record),
        };
        TaskContext::new(
            facts,
            live.progress.clone(),
            live.stop.token().clone(),
            StepBook::new(record.attempt, EngineJournal::of(self, live)),
            Inbox::new(EngineDesk::of(self, live, entry.descriptor.interactive)),
            Arc::clone(&live.log),
        )
    }
}

/// Waits until earlier attempts of the same task have really stopped here, or
/// this one has to.
async fn alone(earlier: &[Arc<Live>], live: &Live) {
    let stopped = async {
        for attempt in earlier {
            attempt.over.cancelled().await;
        }
    };
    tokio::select! {
        biased;
        () = live.stop.token().cancelled() => {}
        () = sleep_until(live.deadline) => {
            live.stop.fire(Cause::Deadline);
        }
        () = stopped => {}
    }
}

/// What becomes of a task whose attempt ended so, and that was asked to stop for
/// this cause, perhaps only since then. None: nothing may be written.
fn verdict(
    outcome: Outcome,
    record: &TaskRecord,
    cause: Option<&Cause>,
    retry: Option<&Retry>,
    deadline: Instant,
) -> Option<Verdict> {
    let Outcome::Failed(failure) = &outcome else {
        return Some(Verdict::End(outcome));
    };
    if matches!(cause, Some(Cause::Shutdown { .. })) && record.attempt < record.max_attempts {
        let message = "the server shut down; the task will be started again";
        return Some(Verdict::Again(Duration::ZERO, message.to_owned()));
    }
    let stopped = cause.and_then(Cause::outcome).as_ref() == Some(&outcome);
    let pause = retry
        .filter(|_| failure.retryable && !stopped)
        .and_then(|retry| back_off(retry, record.attempt))
        .filter(|pause| Instant::now() + *pause < deadline);
    let Some(pause) = pause else {
        return Some(Verdict::End(outcome));
    };
    if let Some(cause) = cause
        && !matches!(cause, Cause::Shutdown { .. })
    {
        // There will be no next attempt after all.
        return cause.outcome().map(Verdict::End);
    }
    let shown = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(0));
    let message = format!(
        "attempt {} failed: {}; the next one starts in {}",
        record.attempt,
        failure.message,
        humantime::format_duration(shown)
    );
    let message = crate::progress::shortened(message, 500);
    Some(Verdict::Again(pause, message))
}

/// How long to wait after this attempt; `None` if it was the last one.
///
/// Up to a quarter is taken off at random: tasks that failed together must not
/// come back together.
fn back_off(retry: &Retry, attempt: u32) -> Option<Duration> {
    if attempt >= retry.attempts {
        return None;
    }
    let doublings = attempt.saturating_sub(1).min(31);
    let pause = retry
        .backoff
        .saturating_mul(1 << doublings)
        .min(retry.max_backoff);
    Some(pause.mul_f64(1.0 - fastrand::f64() / 4.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewTask, SessionId, TaskFailure, TaskId, Timestamp};

    /// What becomes of a task whose first attempt failed so, and which may be
    /// tried again, as this cause comes.
    fn failed(failure: TaskFailure, cause: Option<&Cause>) -> Option<Verdict> {
        const HOUR: Duration = Duration::from_secs(3600);
        let new = NewTask::new(TaskId::random(), "t", "{}", HOUR, HOUR);
        let mut record = TaskRecord::admit(new, Timestamp(0));
        record.claim(SessionId::random(), Timestamp(0));
        let outcome = Outcome::Failed(Box::new(failure));
        verdict(
            outcome,
            &record,
            cause,
            Some(&Retry::new(3)),
            Instant::now() + HOUR,
        )
    }

    #[tokio::test]
    async fn a_request_to_stop_after_an_error_takes_the_place_of_the_next_attempt() {
        let mut busy = TaskFailure::new("busy", "not yet");
        let fatal = busy.clone();
        busy.retryable = true;
        let cancelled = Cause::Cancelled("enough".into());
        let grace = Duration::ZERO;
        for (failure, cause, expected) in [
            (&busy, None, "Some(Again("),
            (&busy, Some(&cancelled), "Some(End(Cancelled"),
            (&busy, Some(&Cause::LeaseLost), "None"),
            (&busy, Some(&Cause::Shutdown { grace }), "Some(Again("),
            // The error was first, and is the end.
            (&fatal, Some(&cancelled), "Some(End(Failed"),
            (&fatal, Some(&Cause::LeaseLost), "Some(End(Failed"),
        ] {
            let verdict = format!("{:?}", failed(failure.clone(), cause));
            assert!(verdict.starts_with(expected), "{cause:?}: {verdict}");
        }
    }

    #[tokio::test]
    async fn an_attempt_that_was_stopped_is_not_an_error_to_try_again() {
        for cause in [
            Cause::Shutdown {
                grace: Duration::ZERO,
            },
            Cause::Timeout(Duration::ZERO),
        ] {
            let Some(Outcome::Failed(failure)) = cause.outcome() else {
                panic!("{cause:?}");
            };
            let verdict = format!("{:?}", failed(*failure, Some(&cause)));
            assert!(verdict.starts_with("Some(End(Failed"), "{verdict}");
        }
    }

    #[test]
    fn the_back_off_doubles_up_to_its_limit() {
        let retry = Retry::new(20)
            .backoff(Duration::from_secs(1))
            .max_backoff(Duration::from_secs(60));
        for (attempt, full) in [(1, 1.0), (2, 2.0), (3, 4.0), (7, 60.0), (19, 60.0)] {
            let pause = back_off(&retry, attempt).map_or(0.0, |pause| pause.as_secs_f64());
            assert!(
                (full * 0.75..=full).contains(&pause),
                "{pause} s after attempt {attempt}"
            );
        }
        assert_eq!(back_off(&retry, 20), None);
        assert!(back_off(&Retry::new(u32::MAX), u32::MAX - 1).is_some());
    }
}
