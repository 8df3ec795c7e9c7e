//! The verbs, each one step under the lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Extras, KeyScope, State, Task, is_expired, share_scope};
use crate::store::{
    Admission, Answered, Beat, Change, Created, Cursor, Filter, Lease, Limit, LogLine, MAX_KEYS,
    Owned, Reaped, Report, StepRecord, StoreError, Want,
};
use crate::task::{
    CancelAck, End, Epoch, Fingerprint, NewTask, Outcome, Question, Refused, Release, Status,
    Takeover, TaskId, TaskRecord, Timestamp,
};

impl State {
    pub(in super::super) fn create(
        &mut self,
        new: NewTask,
        admission: Admission,
        now: Timestamp,
        max_records: usize,
    ) -> (Created, Option<Change>) {
        if let Some(known) = self.known(&new, now) {
            return (known, None);
        }
        if let Some(joined) = self.join(&new, now) {
            return (joined, None);
        }
        if self.tasks.len() >= max_records {
            return (Created::Full(Limit::Records(max_records)), None);
        }
        let waiting = self.queues.get(&new.tool).map_or(0, BTreeMap::len);
        let claim = admission
            .claim
            .filter(|_| self.has_room(&new.concurrency) && !self.is_any_ready(now));
        if claim.is_none()
            && let Some(limit) = admission.principal_queue
            && let Some(principal) = &new.principal
            && self.queued_of.get(principal).copied().unwrap_or(0) >= limit
        {
            return (Created::Full(Limit::PrincipalQueue(limit)), None);
        }
        if claim.is_none() && (admission.claim.is_none() || waiting > 0) {
            if waiting >= admission.tool_queue {
                return (Created::Full(Limit::ToolQueue(admission.tool_queue)), None);
            }
            if self.queued >= admission.queue {
                return (Created::Full(Limit::Queue(admission.queue)), None);
            }
        }

        let mut keys = Vec::new();
        if let Some((scope, fingerprint)) = key_scope(&new) {
            keys.push(Arc::clone(&scope.key));
            self.keys.insert(scope, (new.id, fingerprint));
        }
        let extras = new.dedupe.map(|fingerprint| {
            Box::new(Extras {
                dedupe: Some(fingerprint),
                ..Extras::default()
            })
        });
        let mut record = TaskRecord::admit(new, now);
        let change = match claim {
            Some(lease) => {
                record.claim(lease.session, now);
                self.own(lease, record.id);
                None
            }
            None => Some(Change::Queued),
        };
        let task = Box::new(Task {
            record: record.clone(),
            sequence: self.next_sequence,
            keys,
            extras,
        });
        self.next_sequence += 1;
        self.listed.insert(Cursor::of(&record));
        self.index(&task);
        self.tasks.insert(record.id, task);
        (Created::New(record), change)
    }

    /// The task that a key names.
    fn known(&mut self, new: &NewTask, now: Timestamp) -> Option<Created> {
        let (scope, given) = key_scope(new)?;
        let (id, fingerprint) = *self.keys.get(&scope)?;
        if !self.is_live(id, now) {
            self.remove(id);
            return None;
        }
        if fingerprint != given {
            return Some(Created::Conflict(id));
        }
        let task = self.tasks.get(&id)?;
        Some(Created::Existing(task.record.clone()))
    }

    /// The equal task that this call shares from now on.
    fn join(&mut self, new: &NewTask, now: Timestamp) -> Option<Created> {
        let scope = share_scope(&new.principal, &new.tool, new.dedupe?);
        let id = *self.shared.get(&scope)?;
        let task = self.tasks.get_mut(&id)?;
        // Whoever notices first ends it.
        if task.record.status == Status::Queued && task.record.deadline <= now {
            return None;
        }
        if let Some((scope, fingerprint)) = key_scope(new) {
            if task.keys.len() >= MAX_KEYS {
                return Some(Created::Full(Limit::Keys(MAX_KEYS)));
            }
            task.keys.push(Arc::clone(&scope.key));
            self.keys.insert(scope, (id, fingerprint));
        }
        Some(Created::Existing(task.record.clone()))
    }

    pub(in super::super) fn claim(
        &mut self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
        now: Timestamp,
    ) -> Vec<TaskRecord> {
        let mut rooms: Vec<usize> = wants.iter().map(|want| want.room).collect();
        let mut oldest: Vec<Option<(u64, TaskId)>> = wants
            .iter()
            .map(|want| self.oldest_ready(want, 0, now))
            .collect();
        let mut claimed = Vec::new();
        while claimed.len() < limit {
            let candidates = oldest.iter().enumerate().filter(|(at, _)| rooms[*at] > 0);
            let Some(((sequence, id), at)) = candidates
                .filter_map(|(at, task)| Some(((*task)?, at)))
                .min()
            else {
                break;
            };
            // A claim of this round may have taken one of its concurrency keys.
            if self.is_ready(id, now)
                && let Some(Some(record)) = self.change(id, |task| {
                    let claimed = task.record.claim(lease.session, now);
                    if let Some(extras) = &mut task.extras {
                        extras.ahead = None;
                    }
                    claimed.then(|| task.record.clone())
                })
            {
                self.own(lease, id);
                rooms[at] -= 1;
                claimed.push(record);
            }
            oldest[at] = self.oldest_ready(&wants[at], sequence + 1, now);
        }
        claimed
    }

    pub(in super::super) fn beat(
        &mut self,
        lease: Lease,
        reports: Vec<Report>,
        changed: &mut Vec<TaskId>,
    ) -> Beat {
        for report in reports {
            let Some(task) = self.tasks.get_mut(&report.id) else {
                continue;
            };
            let before = task.record.revision;
            let late = report.number <= task.record.report;
            if task.record.report(&report).is_err() || late {
                continue;
            }
            task.append(report.log);
            if task.record.revision > before {
                changed.push(report.id);
            }
        }
        let Some(session) = self.sessions.get_mut(&lease.session) else {
            return Beat::default();
        };
        session.renew(lease.duration);
        let owned = session.owned.iter().filter_map(|id| self.tasks.get(id));
        Beat::new(owned.map(|task| Owned::of(&task.record)).collect())
    }

    pub(in super::super) fn finish(
        &mut self,
        id: TaskId,
        epoch: Epoch,
        mut end: End,
        now: Timestamp,
    ) -> Result<Result<(), Refused>, StoreError> {
        let finished = self.change(id, |task| {
            if let Err(refused) = task.record.fence(epoch) {
                return Ok(Err(refused));
            }
            if end.ahead {
                let ahead = task.extras.as_mut().and_then(|extras| extras.ahead.take());
                let Some((_, result)) = ahead.filter(|(by, _)| *by == epoch) else {
                    return Err(StoreError::new("the result was not put ahead"));
                };
                end.outcome = Outcome::Completed(result);
            }
            task.append(std::mem::take(&mut end.log));
            Ok(task.record.finish(epoch, end, now))
        });
        finished.unwrap_or(Ok(Err(Refused::Fenced)))
    }

    pub(in super::super) fn release(
        &mut self,
        id: TaskId,
        epoch: Epoch,
        mut release: Release,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let released = self.change(id, |task| {
            let log = match &mut release {
                Release::Retry(retry) => std::mem::take(&mut retry.log),
                Release::NotStarted | Release::Stopped => Vec::new(),
            };
            task.record.release(epoch, release, now)?;
            task.append(log);
            Ok(())
        });
        released.unwrap_or(Err(Refused::Fenced))
    }

    pub(in super::super) fn put_result(
        &mut self,
        id: TaskId,
        epoch: Epoch,
        result: Arc<str>,
    ) -> Result<(), Refused> {
        let task = self.owned_by(id, epoch)?;
        task.extras().ahead = Some((epoch, result));
        Ok(())
    }

    pub(in super::super) fn record_step(
        &mut self,
        id: TaskId,
        epoch: Epoch,
        step: StepRecord,
    ) -> Result<(), Refused> {
        let steps = &mut self.owned_by(id, epoch)?.extras().steps;
        if steps.iter().all(|known| known.name != step.name) {
            steps.push(step);
        }
        Ok(())
    }

    pub(in super::super) fn ask(
        &mut self,
        id: TaskId,
        epoch: Epoch,
        mut questions: Vec<Question>,
        revision: u64,
        now: Timestamp,
    ) -> Result<Option<Change>, Refused> {
        let answered: Vec<Arc<str>> = self.steps(id).into_iter().map(|step| step.name).collect();
        questions.retain(|question| {
            let step = StepRecord::answer(&question.key, "").name;
            !answered.contains(&step)
        });
        let asked = self.change(id, |task| {
            let before = task.record.revision;
            task.record.ask(epoch, questions, revision, now)?;
            Ok((task.record.revision > before).then_some(Change::Task(id)))
        });
        asked.unwrap_or(Err(Refused::Fenced))
    }

    /// Answers a question; `None` if there is no such task.
    pub(in super::super) fn answer(
        &mut self,
        id: TaskId,
        key: &str,
        answer: Arc<str>,
        now: Timestamp,
    ) -> Option<Answered> {
        if !self.is_live(id, now) {
            return None;
        }
        let task = self.tasks.get_mut(&id)?;
        if task.record.status.is_terminal() {
            return Some(Answered::Ended);
        }
        let step = StepRecord::answer(key, answer);
        let known = task.extras.iter().flat_map(|extras| &extras.steps);
        if let Some(known) = known.into_iter().find(|known| known.name == step.name) {
            return Some(Answered::Before(Arc::clone(&known.result)));
        }
        if !task.record.answer(key, now) {
            return Some(Answered::NotAsked);
        }
        task.extras().steps.push(step);
        Some(Answered::Recorded)
    }

    fn owned_by(&mut self, id: TaskId, epoch: Epoch) -> Result<&mut Task, Refused> {
        let task = self.tasks.get_mut(&id).ok_or(Refused::Fenced)?;
        task.record.fence(epoch)?;
        Ok(task)
    }

    pub(in super::super) fn steps(&self, id: TaskId) -> Vec<StepRecord> {
        self.extras(id)
            .map(|extras| extras.steps.clone())
            .unwrap_or_default()
    }

    pub(in super::super) fn log(&self, id: TaskId, limit: usize) -> Vec<LogLine> {
        self.extras(id)
            .map(|extras| {
                let skipped = extras.log.len().saturating_sub(limit);
                extras.log.iter().skip(skipped).cloned().collect()
            })
            .unwrap_or_default()
    }

    fn extras(&self, id: TaskId) -> Option<&Extras> {
        self.tasks.get(&id)?.extras.as_deref()
    }

    pub(in super::super) fn get(&self, id: TaskId, now: Timestamp) -> Option<TaskRecord> {
        let record = &self.tasks.get(&id)?.record;
        (!is_expired(record, now)).then(|| without_arguments(record))
    }

    pub(in super::super) fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> Vec<TaskRecord> {
        let places: Box<dyn Iterator<Item = &Cursor>> = match after {
            Some(after) => Box::new(self.listed.range(..after).rev()),
            None => Box::new(self.listed.iter().rev()),
        };
        places
            .filter_map(|place| self.tasks.get(&place.id))
            .map(|task| &task.record)
            .filter(|record| !is_expired(record, now) && filter.admits(record))
            .take(limit)
            .map(|record| {
                let mut record = without_arguments(record);
                record.history = None;
                if let Some(Outcome::Completed(result)) = &mut record.outcome {
                    *result = Arc::default();
                }
                record
            })
            .collect()
    }

    /// Cleans up; and whether that may let a task start that could not before.
    pub(in super::super) fn reap(
        &mut self,
        now: Timestamp,
        instant: Instant,
        limit: usize,
    ) -> (Reaped, bool) {
        let mut reaped = Reaped::default();
        let dead: Vec<TaskId> = self
            .sessions
            .values()
            .filter(|session| session.alive_until <= instant)
            .flat_map(|session| session.owned.iter().copied())
            .take(limit)
            .collect();
        let took_over = !dead.is_empty();
        for id in dead {
            match self.change(id, |task| task.record.take_over(now)).flatten() {
                Some(Takeover::Requeued) => reaped.requeued.push(id),
                Some(Takeover::Ended) => reaped.interrupted.push(id),
                Some(Takeover::Freed) | None => {}
            }
        }

        while reaped.expired.len() < limit && reaped.purged.len() < limit {
            let Some(&(due, id)) = self.due.first() else {
                break;
            };
            if due > now {
                break;
            }
            if self.change(id, |task| task.record.expire(now)) == Some(true) {
                reaped.expired.push(id);
            } else {
                self.remove(id);
                reaped.purged.push(id);
            }
        }

        reaped.ready = self.is_any_ready(now);
        reaped.notices = self.notices.first().is_some_and(|(due, _)| *due <= now);
        // What waits for a worker, or for somebody who tells it, is said above: no
        // moment has to come for it.
        let later = (
            Timestamp(now.0.saturating_add(1)),
            TaskId::from_bytes([0; 16]),
        );
        let next_due = [
            self.due.first(),
            self.waiting.range(later..).next(),
            self.notices.range(later..).next(),
        ]
        .into_iter()
        .flatten()
        .map(|(moment, _)| moment.since(now))
        .min();
        let next_death = self
            .sessions
            .values()
            .map(|session| session.alive_until.saturating_duration_since(instant))
            .min();
        reaped.next = [next_due, next_death]
            .into_iter()
            .flatten()
            .min()
            .map(|next| next.max(Duration::from_millis(1)));
        let frees = took_over && reaped.ready;
        (reaped, frees)
    }

    /// Asks a task to stop; `None` if there is none.
    pub(in super::super) fn request_cancel(
        &mut self,
        id: TaskId,
        reason: &Arc<str>,
        now: Timestamp,
    ) -> Option<CancelAck> {
        if !self.is_live(id, now) {
            return None;
        }
        self.change(id, |task| task.record.request_cancel(reason, now))
    }
}

pub(super) fn without_arguments(record: &TaskRecord) -> TaskRecord {
    TaskRecord {
        arguments: Arc::default(),
        ..record.clone()
    }
}

fn key_scope(new: &NewTask) -> Option<(KeyScope, Fingerprint)> {
    let key = new.key.as_ref()?;
    let scope = KeyScope {
        principal: new.principal.clone(),
        tool: Arc::clone(&new.tool),
        key: Arc::clone(&key.key),
    };
    Some((scope, key.fingerprint))
}
