//! Asking the caller of a task that runs here, and waiting for the answer.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::Engine;
use super::admission::Slot;
use super::worker::Live;
use crate::input::{Desk, Unanswered};
use crate::steps::{Pauses, Standing};
use crate::store::{Question, StepEnd, StepKind, StepRecord, StoreError};
use crate::task::Input;

/// Most questions that a task waits for at once.
const MAX_OPEN: usize = 16;
/// Most tasks of a worker that wait without a slot; more keep theirs, so that
/// what a worker has begun is bounded (invariant 11).
const MAX_PARKED: usize = 1000;
/// Who waits for an answer looks after so many milliseconds at least:
/// notifications may get lost, and people take their time.
const RE_READ_MILLIS: RangeInclusive<u64> = 8000..=12_000;

/// What an attempt waits for, and the slot that it has or gave up meanwhile.
#[derive(Debug)]
pub(crate) struct Waiting {
    inner: Mutex<Inner>,
    /// Held while the store is told, so that it learns in order.
    telling: Arc<tokio::sync::Mutex<()>>,
    /// Held while the task gets a slot again: it needs one, however many of its
    /// questions are settled.
    resuming: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    /// In the order in which they were asked.
    open: BTreeMap<u64, Question>,
    next: u64,
    /// The store shows the task as one that waits: this process cannot know
    /// which of its questions were answered elsewhere.
    stored: bool,
    /// What the store had of questions when the task went on.
    input: Option<Arc<Input>>,
    slot: Place,
}

/// Where an attempt's slot is.
#[derive(Debug)]
enum Place {
    Held(#[expect(dead_code, reason = "given back by dropping it")] Slot),
    /// Given up while the task waits.
    Parked,
    /// The attempt is over.
    Gone,
}

impl Waiting {
    pub(super) fn new(slot: Slot, input: Option<Arc<Input>>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                open: BTreeMap::new(),
                next: 0,
                stored: false,
                input,
                slot: Place::Held(slot),
            }),
            telling: Arc::default(),
            resuming: tokio::sync::Mutex::default(),
        }
    }

    /// Whether where the task stands is what the store has.
    pub(super) fn is_stored(&self) -> bool {
        self.inner().stored
    }

    /// Whether the task has given up its slot.
    pub(super) fn is_parked(&self) -> bool {
        matches!(self.inner().slot, Place::Parked)
    }

    /// What is known of its questions while it waits for none.
    pub(super) fn input(&self) -> Option<Arc<Input>> {
        self.inner().input.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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
            let answer = engine.inquire(&self.live, question).await?;
            // What an answer allows must not be done by whoever lost the task.
            engine.still_ours(&self.live).await?;
            Ok(answer)
        })
    }
}

impl Engine {
    async fn inquire(
        self: &Arc<Self>,
        live: &Arc<Live>,
        question: Question,
    ) -> Result<Arc<str>, Unanswered> {
        let key = Arc::clone(&question.key);
        // The first attempt of a task has no answers from earlier ones.
        if live.record.attempt > 1
            && let Some(answer) = self.recorded(live, &key).await?
        {
            return Ok(answer);
        }
        let asked = Asked::new(self, live, question)?;
        let mut changes = self.hub.subscribe(live.record.id);
        self.tell(live).await?;
        self.park(live);
        loop {
            if !self.is_open(live, &key).await?
                && let Some(answer) = self.recorded(live, &key).await?
            {
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

    /// Whether a question has no answer yet. Tries until the store has said.
    async fn is_open(&self, live: &Live, key: &str) -> Result<bool, Unanswered> {
        let mut pauses = Pauses::default();
        loop {
            let (store, id) = (Arc::clone(&self.store), live.record.id);
            match Self::detached(async move { store.get(id).await }).await {
                Ok(Some(record)) if record.epoch == live.record.epoch => {
                    let questions = record.input.iter().flat_map(|input| &input.questions);
                    return Ok(questions.into_iter().any(|question| *question.key == *key));
                }
                Ok(_) => return Err(Unanswered::Fenced),
                Err(error) => tracing::warn!(%error, "could not read a task that waits"),
            }
            pause(live, &mut pauses).await?;
        }
    }

    /// The answer that the store has. Tries until the store has said.
    async fn recorded(&self, live: &Live, key: &str) -> Result<Option<Arc<str>>, Unanswered> {
        let step = StepRecord::answer(key, "").name;
        let mut pauses = Pauses::default();
        loop {
            let (store, id) = (Arc::clone(&self.store), live.record.id);
            match Self::detached(async move { store.steps(id).await }).await {
                Ok(steps) => {
                    let found = steps.into_iter().find(|known| known.name == step);
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
            let (store, asking) = (Arc::clone(&self.store), Arc::clone(live));
            let telling = Arc::clone(&live.waiting.telling);
            let (id, epoch) = (live.record.id, live.record.epoch);
            let told = Self::detached(async move {
                let _in_order = telling.lock_owned().await;
                let open: Vec<_> = asking.waiting.inner().open.values().cloned().collect();
                let waits = !open.is_empty();
                let told = store.ask(id, epoch, open, asking.shown()).await?;
                if waits && told.is_ok() {
                    asking.waiting.inner().stored = true;
                }
                Ok(told)
            });
            match told.await {
                Ok(Ok(())) => {
                    self.hub.wake(id);
                    return Ok(());
                }
                Ok(Err(_)) => return Err(Unanswered::Fenced),
                Err(error) => tracing::warn!(%error, "could not tell what a task asks"),
            }
            pause(live, &mut pauses).await?;
        }
    }

    /// Stops the timeout of a task that waits for an answer, and gives up its
    /// slot.
    fn park(&self, live: &Live) {
        let mut waiting = live.waiting.inner();
        if waiting.open.is_empty() {
            return;
        }
        if let Some(timeout) = &live.timeout {
            timeout.stop();
        }
        let given_up = match &waiting.slot {
            Place::Held(_) if self.parked.enter() => {
                Some(std::mem::replace(&mut waiting.slot, Place::Parked))
            }
            _ => None,
        };
        drop(waiting);
        live.pass.step_aside();
        drop(given_up);
    }

    /// Lets a task go on whose last question is settled, as soon as there is a
    /// slot.
    async fn resume(&self, live: &Live) {
        let _alone = live.waiting.resuming.lock().await;
        let mut slot = None;
        if live.waiting.is_parked() {
            tokio::select! {
                again = self.worker.slots.again(&live.record.tool) => slot = Some(again),
                // It may not go on, but it may end.
                () = live.stop.token().cancelled() => {}
            }
        }
        let mut pauses = Pauses::default();
        let mut stored = None;
        while let Err(error) = self.catch_up(live, &mut stored).await {
            tracing::warn!(%error, "could not read a task that was answered");
            if pause(live, &mut pauses).await.is_err() {
                break;
            }
        }
        let mut waiting = live.waiting.inner();
        // Another question may have been asked meanwhile.
        if waiting.open.is_empty() {
            waiting.stored = false;
            waiting.input = stored.or_else(|| waiting.input.take());
            if let (Some(slot), Place::Parked) = (slot.take(), &waiting.slot) {
                waiting.slot = Place::Held(slot);
                self.parked.leave();
            }
            if let Some(timeout) = &live.timeout {
                timeout.go_on();
            }
        }
        drop(waiting);
        drop(slot);
        self.hub.wake(live.record.id);
    }

    /// From now on the revision is counted here again.
    async fn catch_up(
        &self,
        live: &Live,
        input: &mut Option<Arc<Input>>,
    ) -> Result<(), StoreError> {
        let (store, id) = (Arc::clone(&self.store), live.record.id);
        let stored = Self::detached(async move { store.get(id).await }).await?;
        if let Some(stored) = stored.filter(|stored| stored.epoch == live.record.epoch) {
            live.raise(stored.revision);
            *input = stored.input;
        }
        Ok(())
    }

    /// Gives back the slot of an attempt that is over, wherever it is.
    pub(super) fn end_slot(&self, live: &Live) {
        let mut waiting = live.waiting.inner();
        let place = std::mem::replace(&mut waiting.slot, Place::Gone);
        drop(waiting);
        if matches!(place, Place::Parked) {
            self.parked.leave();
        }
    }

    /// Whether the task is known to be ours, and may go on.
    async fn still_ours(&self, live: &Live) -> Result<(), Unanswered> {
        const PAUSE: Duration = Duration::from_millis(10);
        let (id, epoch) = (live.record.id, live.record.epoch);
        loop {
            if live.stop.cause().is_some() {
                return Err(Unanswered::Stopped);
            }
            match self.worker.standing(id, epoch) {
                Standing::Ours => return Ok(()),
                Standing::Over => return Err(Unanswered::Fenced),
                // The next heartbeat will tell.
                Standing::Unknown => {
                    let _ = tokio::time::timeout(PAUSE, live.stop.token().cancelled()).await;
                }
            }
        }
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
        live.history.begun(&name(number), StepKind::Question);
        Ok(Self {
            engine: Arc::clone(engine),
            live: Arc::clone(live),
            number,
            settled: false,
        })
    }

    /// Closes the question; whether it was the last one.
    fn close(&mut self, how: StepEnd) -> bool {
        self.settled = true;
        let history = &self.live.history;
        history.ended(&name(self.number), StepKind::Question, how);
        let mut waiting = self.live.waiting.inner();
        waiting.open.remove(&self.number);
        waiting.open.is_empty()
    }

    /// The store has the answer, and knows that the question is closed.
    async fn answered(mut self) {
        if self.close(StepEnd::Done) {
            let (engine, live) = (Arc::clone(&self.engine), Arc::clone(&self.live));
            // Goes on if whoever asked does not wait for the slot any more.
            let resumed = tokio::spawn(async move { engine.resume(&live).await });
            let _ = resumed.await;
        }
    }
}

/// What the history calls a question: its text may be secret.
fn name(number: u64) -> String {
    (number + 1).to_string()
}

impl Drop for Asked {
    /// Whoever asked does not wait any more: the question is taken back.
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let last = self.close(StepEnd::Failed);
        if let (true, Some(timeout)) = (last, &self.live.timeout) {
            // The body goes on at once, whatever there is of slots.
            timeout.go_on();
        }
        let (engine, live) = (Arc::clone(&self.engine), Arc::clone(&self.live));
        // There may be no runtime any more, and then nobody to tell.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            // A task that is over has told the store itself.
            let _ = engine.tell(&live).await;
            if last {
                engine.resume(&live).await;
            }
        });
    }
}
