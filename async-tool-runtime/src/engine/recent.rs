//! What was told of tasks lately, for those who ask again too early.
//!
//! An answer advises when to ask again. Until then nothing is expected to happen,
//! so the same answer is given once more, without a call to the store; unless it
//! is known that the task has changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::watch::Subscription;
use super::{Asker, Engine, View, Wait};
use crate::refusal::Refusal;
use crate::task::{TaskId, TaskRecord};

/// Most tasks whose last answer is remembered (invariant 11); of more, early
/// calls are answered like any other.
const KEPT: usize = 4096;

/// The last answers.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    answers: HashMap<TaskId, Answer>,
    /// The same by their age: what is too old makes room for what is new.
    by_end: BTreeSet<(Instant, TaskId)>,
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
        let mut recent = self.inner();
        recent.forget_old(Instant::now());
        let Some(answer) = recent.answers.get_mut(&id) else {
            return (false, None);
        };
        if answer
            .stored
            .as_ref()
            .is_some_and(|(_, changes)| changes.has_changed())
        {
            answer.stored = None;
        }
        let told = answer.stored.as_ref().map(|(view, _)| Arc::clone(view));
        (true, told)
    }

    /// Remembers what is told of a task that goes on. `changes` are those since
    /// before it was read; none: it runs here.
    fn remember(&self, view: &View, changes: Option<Subscription>) {
        let id = view.record.id;
        let now = Instant::now();
        let mut recent = self.inner();
        recent.forget(id);
        recent.forget_old(now);
        // What has ended is read each time.
        let Some(pause) = view.poll_after() else {
            return;
        };
        if recent.answers.len() < KEPT {
            let ask_after = now + pause;
            let stored = changes.map(|changes| (Arc::new(in_short(view)), changes));
            recent.by_end.insert((ask_after, id));
            recent.answers.insert(id, Answer { ask_after, stored });
        }
    }

    /// Forgets what a read has shown to be old: word of a change may get lost,
    /// and what was told since must not be taken back.
    pub(super) fn compare(&self, record: &TaskRecord) {
        let mut recent = self.inner();
        if record.status.is_terminal() {
            recent.forget(record.id);
        } else if let Some(answer) = recent.answers.get_mut(&record.id)
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
    fn forget(&mut self, id: TaskId) {
        if let Some(answer) = self.answers.remove(&id) {
            self.by_end.remove(&(answer.ask_after, id));
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(&(ask_after, id)) = self.by_end.first()
            && ask_after <= now
        {
            self.forget(id);
        }
    }
}

/// What a status answer is made of, without what may be large.
fn in_short(view: &View) -> View {
    let mut view = view.clone();
    let record = &mut view.record;
    record.arguments = Arc::default();
    record.history = None;
    record.origin = None;
    record.notice = None;
    record.outcome = None;
    view
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_short_and_goes_when_it_is_old() {
        let (recent, hub) = (Recent::default(), Arc::new(Hub::default()));
        let mut long = queued();
        long.record.arguments = "x".repeat(1 << 20).into();
        long.record.history = Some("y".repeat(1 << 10).into());
        let id = long.record.id;
        recent.remember(&long, Some(hub.subscribe(id)));
        assert_eq!(Arc::strong_count(&long.record.arguments), 1);
        let told = recent.recall(id).1.expect("it was told just now");
        assert_eq!((&*told.record.arguments, &told.record.history), ("", &None));
        assert_eq!(
            (told.record.id, told.record.status),
            (id, long.record.status)
        );

        advance(long.poll_after().expect("it goes on")).await;
        let next = queued();
        recent.remember(&next, Some(hub.subscribe(next.record.id)));
        assert_eq!(recent.inner().answers.len(), 1);
        assert_eq!(recent.inner().by_end.len(), 1);
        assert_eq!(hub.watched(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_changed_is_kept_no_longer() {
        let (recent, hub) = (Recent::default(), Arc::new(Hub::default()));
        let view = queued();
        let id = view.record.id;
        recent.remember(&view, Some(hub.subscribe(id)));
        hub.wake(id);
        let (early, told) = recent.recall(id);
        assert!(early && told.is_none());
        assert_eq!(hub.watched(), 0);

        recent.remember(&view, Some(hub.subscribe(id)));
        let mut ended = view.record;
        ended.status = crate::task::Status::Cancelled;
        recent.compare(&ended);
        assert_eq!(hub.watched(), 0);
        assert!(recent.inner().answers.is_empty() && recent.inner().by_end.is_empty());
    }
}
