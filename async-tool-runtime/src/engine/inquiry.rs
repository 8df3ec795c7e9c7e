//! Asking the caller of a task that runs here, and waiting for the answer.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::Engine;
use super::worker::Live;
use crate::input::{Desk, Unanswered};
use crate::steps::Pauses;
use crate::store::{Question, StepRecord};

/// Most questions that a task waits for at once.
const MAX_OPEN: usize = 16;
/// Most tasks of a worker that wait without a slot; more keep theirs, so that
/// what a worker has begun is bounded (invariant 11).
const MAX_PARKED: usize = 1000;
/// Who waits for an answer looks after so many milliseconds at least:
/// notifications may get lost.
const RE_READ_MILLIS: RangeInclusive<u64> = 3000..=5000;

/// What an attempt waits for.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    inner: Mutex<Inner>,
    /// Held while the store is told, so that it learns in order.
    telling: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order in which they were asked.
    open: BTreeMap<u64, Question>,
    next: u64,
    /// The task is shown as the store has it: this process cannot know which of
    /// its questions were answered elsewhere.
    shown_as_stored: bool,
    /// Its slot was given up.
    parked: bool,
}

impl Waiting {
    /// Whether what clients see of the task is what the store has.
    pub(crate) fn is_shown_as_stored(&self) -> bool {
        self.inner().shown_as_stored
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Vec<Question> {
        self.inner().open.values().cloned().collect()
    }
}

/// Counts the tasks that wait without a slot.
#[derive(Debug, Default)]
pub(super) struct Parked(AtomicUsize);

impl Parked {
    fn enter(&self) -> bool {
        let add = |count| (count < MAX_PARKED).then_some(count + 1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add)
            .is_ok()
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Does not keep the engine alive: a tool may hold its context for ever.
pub(super) struct EngineDesk {
    engine: Weak<Engine>,
    live: Arc<Live>,
    interactive: bool,
}

impl EngineDesk {
    pub(super) fn of(engine: &Arc<Engine>, live: &Arc<Live>, interactive: bool) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            live: Arc::clone(live),
            interactive,
        }
    }
}

impl Desk for EngineDesk {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Arc<str>, Unanswered>> {
        Box::pin(async move {
            if !self.interactive {
                return Err(Unanswered::NotInteractive);
            }
            let engine = self.engine.upgrade().ok_or(Unanswered::Fenced)?;
            engine.inquire(&self.live, question).await
        })
    }
}

impl Engine {
    async fn inquire(
        self: &Arc<Self>,
        live: &Arc<Live>,
        question: Question,
    ) -> Result<Arc<str>, Unanswered> {
        let step = StepRecord::answer(&question.key, "").name;
        // The first attempt of a task has no answers from earlier ones.
        if live.record.attempt > 1
            && let Some(answer) = self.recorded(live, &step).await?
        {
            return Ok(answer);
        }
        let asked = Asked::new(self, live, question)?;
        let mut changes = self.hub.subscribe(live.record.id);
        self.tell(live).await?;
        self.park(live);
        loop {
            if let Some(answer) = self.recorded(live, &step).await? {
                asked.answered().await;
                return Ok(answer);
            }
            tokio::select! {
                () = changes.changed() => {}
                () = sleep(Duration::from_millis(fastrand::u64(RE_READ_MILLIS))) => {}
                () = live.stop.token().cancelled() => return Err(Unanswered::Stopped),
            }
        }
    }

    /// The answer that the store has. Tries until the store has said.
    async fn recorded(&self, live: &Live, step: &str) -> Result<Option<Arc<str>>, Unanswered> {
        let mut pauses = Pauses::default();
        loop {
            let (store, id) = (Arc::clone(&self.store), live.record.id);
            match Self::detached(async move { store.steps(id).await }).await {
                Ok(steps) => {
                    let found = steps.into_iter().find(|known| *known.name == *step);
                    return Ok(found.map(|found| found.result));
                }
                Err(error) => tracing::warn!(%error, "could not read the answers to a task"),
            }
            pause(live, &mut pauses).await?;
        }
    }

    /// Tells the store what the task waits for, until it has heard.
    async fn tell(self: &Arc<Self>, live: &Arc<Live>) -> Result<(), Unanswered> {
        let mut pauses = Pauses::default();
        loop {
            if live.stop.cause().is_some() {
                return Err(Unanswered::Stopped);
            }
            let (store, live) = (Arc::clone(&self.store), Arc::clone(live));
            let telling = Arc::clone(&live.waiting.telling);
            let (id, epoch) = (live.record.id, live.record.epoch);
            let shown = Arc::clone(&live);
            let told = Self::detached(async move {
                let _in_order = telling.lock_owned().await;
                let open = shown.waiting.open();
                if !open.is_empty() {
                    shown.waiting.inner().shown_as_stored = true;
                }
                store.ask(id, epoch, open, shown.shown()).await
            });
            match told.await {
                Ok(Ok(())) => {
                    self.hub.wake(id);
                    return Ok(());
                }
                Ok(Err(_)) => return Err(Unanswered::Fenced),
                Err(error) => tracing::warn!(%error, "could not tell what a task asks"),
            }
            pause(&live, &mut pauses).await?;
        }
    }

    /// Gives up the slot of a task that waits for an answer.
    fn park(&self, live: &Live) {
        let mut waiting = live.waiting.inner();
        if waiting.parked || waiting.open.is_empty() || !self.parked.enter() {
            return;
        }
        waiting.parked = true;
        drop(waiting);
        if let Some(timeout) = &live.timeout {
            timeout.stop();
        }
        drop(live.take_slot());
    }

    /// Lets a task go on whose last question is settled, as soon as there is a
    /// slot.
    async fn unpark(&self, live: &Live) {
        if live.waiting.inner().parked {
            tokio::select! {
                slot = self.worker.slots.again(&live.record.tool) => live.put_slot(slot),
                // It may not go on, but it may end.
                () = live.stop.token().cancelled() => {}
            }
        }
        // From here on its revision is counted here again.
        let mut pauses = Pauses::default();
        while let Err(error) = self.catch_up(live).await {
            tracing::warn!(%error, "could not read a task that was answered");
            if pause(live, &mut pauses).await.is_err() {
                break;
            }
        }
        let mut waiting = live.waiting.inner();
        if !waiting.open.is_empty() {
            // Another question was asked meanwhile.
            drop(waiting);
            self.repark(live);
            return;
        }
        waiting.shown_as_stored = false;
        if std::mem::take(&mut waiting.parked) {
            self.parked.leave();
        }
        drop(waiting);
        if let Some(timeout) = &live.timeout {
            timeout.go_on();
        }
        self.hub.wake(live.record.id);
    }

    /// Gives back a slot that is not needed after all.
    fn repark(&self, live: &Live) {
        if live.waiting.inner().parked {
            drop(live.take_slot());
        }
    }

    async fn catch_up(&self, live: &Live) -> Result<(), crate::store::StoreError> {
        let (store, id) = (Arc::clone(&self.store), live.record.id);
        let stored = Self::detached(async move { store.get(id).await }).await?;
        if let Some(stored) = stored {
            live.raise(stored.revision);
        }
        Ok(())
    }
}

async fn pause(live: &Live, pauses: &mut Pauses) -> Result<(), Unanswered> {
    tokio::select! {
        () = pauses.pause() => Ok(()),
        () = live.stop.token().cancelled() => Err(Unanswered::Stopped),
    }
}

/// A question that is open here, until it is settled.
struct Asked {
    engine: Arc<Engine>,
    live: Arc<Live>,
    number: u64,
    settled: bool,
}

impl Asked {
    fn new(engine: &Arc<Engine>, live: &Arc<Live>, question: Question) -> Result<Self, Unanswered> {
        let mut waiting = live.waiting.inner();
        if waiting.open.len() >= MAX_OPEN {
            return Err(Unanswered::TooMany { limit: MAX_OPEN });
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.open.insert(number, question);
        drop(waiting);
        Ok(Self {
            engine: Arc::clone(engine),
            live: Arc::clone(live),
            number,
            settled: false,
        })
    }

    /// Closes the question; whether it was the last one.
    fn close(&mut self) -> bool {
        self.settled = true;
        let mut waiting = self.live.waiting.inner();
        waiting.open.remove(&self.number);
        waiting.open.is_empty()
    }

    /// The store has the answer, and knows that the question is closed.
    async fn answered(mut self) {
        if self.close() {
            self.engine.unpark(&self.live).await;
        }
    }
}

impl Drop for Asked {
    /// Whoever asked does not wait any more: the question is taken back.
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let last = self.close();
        let (engine, live) = (Arc::clone(&self.engine), Arc::clone(&self.live));
        // There may be no runtime any more, and then nobody to tell.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            // A task that is over has told the store itself.
            let _ = engine.tell(&live).await;
            if last {
                engine.unpark(&live).await;
            }
        });
    }
}
