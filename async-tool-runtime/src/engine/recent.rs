//! What was told of tasks lately, for those who ask again too early.
//!
//! An answer advises when to ask again. Until then nothing is expected to happen,
//! so the same answer is given once more, without a call to the store; unless it
//! is known that the task has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::watch::Subscription;
use super::{Asker, Engine, View, Wait};
use crate::refusal::Refusal;
use crate::task::{TaskId, TaskRecord};

/// Most tasks whose last answer is remembered (invariant 11); of more, early
/// calls are answered like any other.
const KEPT: usize = 4096;
/// How often what is too old is looked for where there is no room.
const CLEANUP: Duration = Duration::from_secs(1);

/// The last answers.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    answers: HashMap<TaskId, Answer>,
    cleaned: Option<Instant>,
}

/// What was told of a task.
#[derive(Debug)]
struct Answer {
    /// When the caller was advised to ask again.
    ask_after: Instant,
    /// None: it runs here, where what there is to tell is at hand, or it was
    /// something else that is old by now.
    stored: Option<(Arc<View>, Subscription)>,
}

impl Recent {
    /// Whether a call about a task is early now, and what was told of it, where
    /// it is known not to have changed.
    fn recall(&self, id: TaskId) -> (bool, Option<Arc<View>>) {
        let recent = self.inner();
        let early = |answer: &&Answer| Instant::now() < answer.ask_after;
        let Some(answer) = recent.answers.get(&id).filter(early) else {
            return (false, None);
        };
        let told = answer
            .stored
            .as_ref()
            .filter(|(_, changes)| !changes.has_changed())
            .map(|(view, _)| Arc::clone(view));
        (true, told)
    }

    /// Remembers what is told of a task that goes on. `changes` are those since
    /// before it was read; none: it runs here.
    fn remember(&self, view: &View, changes: Option<Subscription>) {
        let id = view.record.id;
        let Some(pause) = view.poll_after() else {
            // What has ended is read each time.
            self.inner().answers.remove(&id);
            return;
        };
        let now = Instant::now();
        let answer = Answer {
            ask_after: now + pause,
            stored: changes.map(|changes| (Arc::new(view.clone()), changes)),
        };
        let mut recent = self.inner();
        if recent.has_room_for(id, now) {
            recent.answers.insert(id, answer);
        }
    }

    /// Forgets what a read has shown to be old: word of a change may get lost,
    /// and what was told since must not be taken back.
    pub(super) fn compare(&self, record: &TaskRecord) {
        let mut recent = self.inner();
        if let Some(answer) = recent.answers.get_mut(&record.id)
            && let Some((view, _)) = &answer.stored
            && (view.record.revision, view.record.status) != (record.revision, record.status)
        {
            answer.stored = None;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// The task, for a client that looks how it is. Who looks again sooner than
    /// advised is told the same, unless the task is known to have changed.
    ///
    /// Not for whoever goes on from what the task is: another replica may have
    /// changed it, and its word of that be under way.
    pub(crate) async fn poll(
        self: &Arc<Self>,
        asker: Asker<'_>,
        id: TaskId,
    ) -> Result<View, Refusal> {
        let (early, told) = self.recent.recall(id);
        let view = match told.filter(|_| !self.has_at_hand(id)) {
            Some(told) if asker.may_see(&told.record) => View::clone(&told),
            Some(_) => return Err(Refusal::TaskNotFound),
            None => self.status(asker, id, Wait::none(), None).await?,
        };
        self.telemetry.meters.status_call(&view.record.tool, early);
        Ok(view)
    }

    /// Remembers what is told of a task. `changes` are those since before it was
    /// read.
    pub(super) fn remember(&self, view: &View, changes: Subscription) {
        let changes = (!self.has_at_hand(view.record.id)).then_some(changes);
        self.recent.remember(view, changes);
    }
}

impl Inner {
    fn has_room_for(&mut self, id: TaskId, now: Instant) -> bool {
        let is_full = self.answers.len() >= KEPT;
        let rested = self.cleaned.is_none_or(|at| now - at >= CLEANUP);
        if is_full && rested {
            self.cleaned = Some(now);
            self.answers.retain(|_, answer| now < answer.ask_after);
        }
        self.answers.len() < KEPT || self.answers.contains_key(&id)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::super::watch::Hub;
    use super::*;
    use crate::task::{NewTask, Timestamp};

    fn queued() -> View {
        let day = Duration::from_secs(86_400);
        let new = NewTask::new(TaskId::random(), "tool", "{}", day, day);
        View::stored(TaskRecord::admit(new, Timestamp(0)), Timestamp(0))
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_answers_are_kept_and_make_room_when_they_are_old() {
        let (recent, hub) = (Recent::default(), Arc::new(Hub::default()));
        let told = |view: &View| recent.recall(view.record.id).1.is_some();
        let tell = |view: &View| recent.remember(view, Some(hub.subscribe(view.record.id)));
        let first = queued();
        tell(&first);
        for _ in 1..KEPT {
            tell(&queued());
        }
        let late = queued();
        tell(&late);
        assert!(told(&first) && !told(&late));
        // What is known may be told anew.
        tell(&first);
        assert!(told(&first));

        advance(first.poll_after().expect("it goes on")).await;
        tell(&late);
        assert!(!told(&first) && told(&late));
        assert_eq!(recent.inner().answers.len(), 1);
    }
}
