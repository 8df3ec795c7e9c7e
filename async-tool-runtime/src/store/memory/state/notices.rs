//! The verbs that are about what is told outside, and to operators.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::verbs::without_arguments;
use super::{State, is_expired};
use crate::store::{Purged, QueueStats, SessionStats, Stats};
use crate::task::{Status, TaskId, TaskRecord, Timestamp, Told};

impl State {
    pub(in super::super) fn claim_notices(
        &mut self,
        pause: Duration,
        limit: usize,
        now: Timestamp,
    ) -> Vec<TaskRecord> {
        let due: Vec<TaskId> = self
            .notices
            .iter()
            .take_while(|(due, _)| *due <= now)
            .map(|(_, id)| *id)
            .filter(|id| self.is_live(*id, now))
            .take(limit)
            .collect();
        let claimed = due.into_iter().filter_map(|id| {
            self.change(id, |task| {
                let claimed = task.record.claim_notice(pause, now);
                claimed.then(|| without_arguments(&task.record))
            })?
        });
        claimed.collect()
    }

    pub(in super::super) fn settle_notice(&mut self, told: &Told, now: Timestamp) -> bool {
        self.is_live(told.id, now)
            && self.change(told.id, |task| task.record.settle_notice(told, now)) == Some(true)
    }

    pub(in super::super) fn purge(&mut self, id: TaskId, now: Timestamp) -> Option<Purged> {
        let record = &self.tasks.get(&id)?.record;
        if is_expired(record, now) {
            return None;
        }
        let purged = record.purge();
        if purged == Purged::Gone {
            self.remove(id);
        }
        Some(purged)
    }

    pub(in super::super) fn stats(&self, now: Timestamp) -> Stats {
        let oldest = |queue: &BTreeMap<u64, TaskId>| {
            let oldest = self.tasks.get(queue.values().next()?)?;
            Some(oldest.record.created_at)
        };
        let mut queues: Vec<QueueStats> = self
            .queues
            .iter()
            .filter_map(|(tool, queue)| {
                Some(QueueStats::new(
                    Arc::clone(tool),
                    queue.len(),
                    oldest(queue)?,
                ))
            })
            .collect();
        queues.sort_by(|one, other| one.tool.cmp(&other.tool));
        let owned = |ids: &HashSet<TaskId>| {
            let records = ids.iter().filter_map(|id| self.tasks.get(id));
            records
                .filter(|task| {
                    matches!(task.record.status, Status::Working | Status::InputRequired)
                })
                .count()
        };
        Stats {
            queues,
            running: self
                .sessions
                .values()
                .map(|session| owned(&session.owned))
                .sum(),
            records: self.tasks.len(),
            notices: self.notices.len(),
            sessions: self
                .sessions
                .iter()
                .map(|(id, session)| {
                    SessionStats::new(*id, session.owned.len(), session.beats, session.lease)
                })
                .collect(),
            at: now,
        }
    }
}
