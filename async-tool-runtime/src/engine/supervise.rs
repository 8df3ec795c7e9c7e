//! Starts what was claimed, and decides what becomes of it afterwards.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::Engine;
use super::admission::Slot;
use super::attempt::{Attempt, Clocks, drive, run};
use super::journal::EngineJournal;
use super::stop::{Cause, Stop};
use super::worker::Live;
use crate::catalog::Entry;
use crate::context::{Facts, TaskContext};
use crate::descriptor::Retry;
use crate::log::TaskLog;
use crate::progress::Progress;
use crate::steps::StepBook;
use crate::store::{Outcome, TaskRecord};

/// What becomes of a task after an attempt.
#[derive(Debug)]
pub(super) enum Verdict {
    End(Outcome),
    /// Another attempt after a pause; what clients read meanwhile.
    Again(Duration, String),
}

impl Engine {
    /// Starts a task; `claimed` is when its claim was sent.
    pub(super) fn execute(self: &Arc<Self>, record: TaskRecord, slot: Slot, claimed: Instant) {
        let Some(entry) = self.catalog.get(&record.tool).cloned() else {
            // Only tools of the catalog are claimed.
            return;
        };
        let hub = Arc::clone(&self.hub);
        let id = record.id;
        let clocks = Clocks::of(&record, &entry);
        let live = Arc::new(Live {
            progress: Progress::new(move || hub.wake(id)),
            log: Arc::new(TaskLog::new(record.attempt, self.clock.clone())),
            stop: Stop::default(),
            reports: AtomicU64::new(0),
            deadline: clocks.deadline,
            over: CancellationToken::new(),
            record,
            claimed,
        });
        let span = tracing::info_span!(
            "task",
            tool = %entry.name,
            task_id = %id,
            attempt = live.record.attempt
        );
        let earlier = self.worker.add(Arc::clone(&live));
        let engine = Arc::clone(self);
        let supervise = async move {
            let _over = live.over.clone().drop_guard();
            alone(&earlier, &live).await;
            engine.supervise(entry, live, clocks.begin()).await;
            // Taken until the body has really stopped.
            drop(slot);
        };
        tokio::spawn(supervise.instrument(span));
    }

    async fn supervise(self: Arc<Self>, entry: Arc<Entry>, live: Arc<Live>, clocks: Clocks) {
        let started = Instant::now();
        let (outcome, unstoppable) = if let Some(cause) = live.stop.cause() {
            (cause.outcome(), None)
        } else {
            let attempt = run(
                Arc::clone(&entry),
                self.context(&live, &clocks),
                Arc::clone(&live.record.arguments),
                Arc::clone(&self.state),
                self.config.max_result,
            );
            let attempt = tokio::spawn(attempt.in_current_span());
            drive(attempt, &live.stop, &clocks).await
        };
        self.worker.slots.observe(&entry.name, started.elapsed());

        let verdict = outcome.map(|outcome| {
            let retry = entry.descriptor.retry.as_ref();
            verdict(outcome, &live, retry, clocks.deadline)
        });
        tracing::debug!(?verdict, "the attempt ended");
        match (verdict, unstoppable) {
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

    fn context(self: &Arc<Self>, live: &Live, clocks: &Clocks) -> TaskContext {
        let record = &live.record;
        let facts = Facts {
            id: record.id,
            tool: record.tool.to_string(),
            attempt: record.attempt,
            epoch: record.epoch,
            principal: record.principal.clone(),
            deadline: record.deadline.into(),
            ends_by: clocks.ends_by(),
        };
        TaskContext::new(
            facts,
            live.progress.clone(),
            live.stop.token().clone(),
            StepBook::new(record.attempt, EngineJournal::of(self, record)),
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

/// What becomes of a task whose attempt ended so.
fn verdict(outcome: Outcome, live: &Live, retry: Option<&Retry>, deadline: Instant) -> Verdict {
    let record = &live.record;
    let Outcome::Failed(failure) = &outcome else {
        return Verdict::End(outcome);
    };
    match live.stop.cause() {
        Some(Cause::Shutdown { .. }) if record.attempt < record.max_attempts => Verdict::Again(
            Duration::ZERO,
            "the server shut down; the task will be started again".to_owned(),
        ),
        None if failure.retryable => {
            let Some(pause) = retry.and_then(|retry| back_off(retry, record.attempt)) else {
                return Verdict::End(outcome);
            };
            if Instant::now() + pause >= deadline {
                return Verdict::End(outcome);
            }
            let shown = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(0));
            let message = format!(
                "attempt {} failed: {}; the next one starts in {}",
                record.attempt,
                failure.message,
                humantime::format_duration(shown)
            );
            Verdict::Again(pause, crate::progress::shortened(message, 500))
        }
        _ => Verdict::End(outcome),
    }
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
