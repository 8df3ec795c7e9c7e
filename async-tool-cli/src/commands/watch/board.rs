//! The tasks that are followed.

use std::collections::{HashMap, HashSet};

use async_tool_runtime::TaskId;
use async_tool_runtime::store::{
    Filter, Outcome, Stats, Status, Store, StoreError, TaskRecord, Timestamp,
};

/// How many tasks of each status that has not ended are followed, the newest
/// first.
const FOLLOWED: usize = 500;

/// How many tasks are shown that have ended, the last ones.
const ENDED: usize = 20;

/// Tasks that have not ended, and some that have.
pub(super) struct Board {
    filter: Filter,
    tasks: HashMap<TaskId, TaskRecord>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// A task is new here, or its status, step or request to stop changed.
    Task(Box<TaskRecord>),
    /// A task that was followed is not there any more.
    Gone(TaskId),
}

impl Board {
    /// With what has ended before; that is no event.
    pub(super) async fn read(store: &dyn Store, filter: Filter) -> Result<Self, StoreError> {
        let newest = store.list(&filter, None, ENDED).await?;
        let ended = newest.into_iter().filter(|it| it.status.is_terminal());
        Ok(Self {
            tasks: ended.map(|it| (it.id, it)).collect(),
            filter,
        })
    }

    /// Reads again what has not ended, and the tasks of which a change was
    /// `heard`.
    pub(super) async fn refresh(
        &mut self,
        store: &dyn Store,
        heard: &HashSet<TaskId>,
    ) -> Result<(Stats, Vec<Event>), StoreError> {
        let mut read = HashMap::new();
        let mut filter = self.filter.clone();
        for status in [Status::Working, Status::InputRequired, Status::Queued] {
            filter.status = Some(status);
            let records = store.list(&filter, None, FOLLOWED).await?;
            // Of one that has moved on meanwhile the later reading counts.
            read.extend(records.into_iter().map(|it| (it.id, it)));
        }
        let mut gone = Vec::new();
        for id in self.unread(&read, heard) {
            match store.get(id).await? {
                Some(record) => {
                    read.insert(id, without_result(record));
                }
                None if self.tasks.contains_key(&id) => gone.push(id),
                None => {}
            }
        }
        let stats = store.stats().await?;
        Ok((stats, self.take(read, gone)))
    }

    /// Those that were not read with the others, because they have ended, or
    /// there are too many.
    fn unread(
        &self,
        read: &HashMap<TaskId, TaskRecord>,
        heard: &HashSet<TaskId>,
    ) -> HashSet<TaskId> {
        let unended = self.tasks.values().filter(|it| !it.status.is_terminal());
        let ids = unended.map(|it| it.id).chain(heard.iter().copied());
        ids.filter(|id| !read.contains_key(id)).collect()
    }

    fn take(&mut self, read: HashMap<TaskId, TaskRecord>, gone: Vec<TaskId>) -> Vec<Event> {
        let mut events = Vec::new();
        for id in gone {
            self.tasks.remove(&id);
            events.push(Event::Gone(id));
        }
        let mut read: Vec<TaskRecord> = read.into_values().collect();
        read.retain(|record| self.filter.admits(record));
        read.sort_by_key(moment);
        for record in read {
            let before = self.tasks.get(&record.id);
            let changed = before.is_none_or(|before| {
                (before.revision, before.status) != (record.revision, record.status)
            });
            if changed {
                events.push(Event::Task(Box::new(record.clone())));
            }
            self.tasks.insert(record.id, record);
        }
        self.forget_ended();
        events
    }

    fn forget_ended(&mut self) {
        for id in self
            .ended()
            .iter()
            .skip(ENDED)
            .map(|it| it.id)
            .collect::<Vec<_>>()
        {
            self.tasks.remove(&id);
        }
    }

    /// Those that have not ended: what works first, what has waited longest
    /// before what is younger.
    pub(super) fn unended(&self) -> Vec<&TaskRecord> {
        let rank = |task: &TaskRecord| match task.status {
            Status::Working => 0,
            Status::InputRequired => 1,
            _ => 2,
        };
        let tasks = self.tasks.values();
        let mut tasks: Vec<_> = tasks.filter(|it| !it.status.is_terminal()).collect();
        tasks.sort_by_key(|it| (rank(it), it.created_at, it.id));
        tasks
    }

    /// Those that have ended, the last first.
    pub(super) fn ended(&self) -> Vec<&TaskRecord> {
        let tasks = self.tasks.values();
        let mut tasks: Vec<_> = tasks.filter(|it| it.status.is_terminal()).collect();
        tasks.sort_by_key(|it| std::cmp::Reverse((it.finished_at, it.id)));
        tasks
    }
}

/// When it last changed its status, as far as is known.
fn moment(record: &TaskRecord) -> (Timestamp, TaskId) {
    let moment = record.finished_at.or(record.started_at);
    (moment.unwrap_or(record.created_at), record.id)
}

/// Results may be large, and nobody looks at them here.
fn without_result(mut record: TaskRecord) -> TaskRecord {
    if let Some(Outcome::Completed(result)) = &mut record.outcome {
        *result = Default::default();
    }
    record.history = None;
    record
}

#[cfg(test)]
mod tests {
    use async_tool_runtime::store::Owner;

    use super::super::super::testing::{completed, empty, failed};
    use super::*;
    use crate::commands::Place;

    async fn board(place: &Place) -> Board {
        let read = Board::read(&*place.store, Filter::of(Owner::Anybody)).await;
        read.expect("a board")
    }

    async fn events(
        board: &mut Board,
        place: &Place,
        heard: &[TaskId],
    ) -> Vec<(TaskId, &'static str)> {
        let heard = heard.iter().copied().collect();
        let (_, events) = board.refresh(&*place.store, &heard).await.expect("events");
        let told = |event| match event {
            Event::Task(record) => (record.id, record.status.as_str()),
            Event::Gone(id) => (id, "gone"),
        };
        events.into_iter().map(told).collect()
    }

    #[tokio::test]
    async fn a_task_is_followed_to_its_end() {
        let place = empty().await;
        let before = place.ended("build", completed()).await;
        let mut board = board(&place).await;
        let id = place.queued("build").await;
        assert_eq!(events(&mut board, &place, &[]).await, [(id, "queued")]);
        let (record, _) = place.claim("build").await;
        assert_eq!(events(&mut board, &place, &[]).await, [(id, "working")]);
        assert_eq!(events(&mut board, &place, &[id]).await, []);
        place.end(&record, failed("no space")).await;
        assert_eq!(events(&mut board, &place, &[]).await, [(id, "failed")]);
        let ended: HashSet<_> = board.ended().iter().map(|it| it.id).collect();
        assert_eq!(ended, [before, id].into());
        place.store.purge(id).await.expect("an answer");
        assert_eq!(events(&mut board, &place, &[id]).await, [(id, "gone")]);
    }

    #[tokio::test]
    async fn what_came_and_went_between_two_readings_is_heard_of() {
        let place = empty().await;
        let mut board = board(&place).await;
        let id = place.ended("build", completed()).await;
        assert_eq!(events(&mut board, &place, &[id]).await, [(id, "completed")]);
        let unknown = TaskId::random();
        assert_eq!(events(&mut board, &place, &[unknown]).await, []);
    }

    #[tokio::test]
    async fn what_is_not_asked_for_is_not_followed() {
        let place = empty().await;
        let mut filter = Filter::of(Owner::Anybody);
        filter.tool = Some("deploy".into());
        let mut board = Board::read(&*place.store, filter).await.expect("a board");
        let other = place.ended("build", completed()).await;
        let id = place.queued("deploy").await;
        assert_eq!(
            events(&mut board, &place, &[other, id]).await,
            [(id, "queued")]
        );
    }

    #[tokio::test]
    async fn of_what_has_ended_the_last_are_kept() {
        let place = empty().await;
        let mut board = board(&place).await;
        let mut heard = Vec::new();
        for _ in 0..ENDED + 5 {
            heard.push(place.ended("build", completed()).await);
        }
        assert_eq!(events(&mut board, &place, &heard).await.len(), ENDED + 5);
        assert_eq!(board.ended().len(), ENDED);
    }
}
