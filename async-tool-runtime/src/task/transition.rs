//! The state machine: what may become of a record.
//!
//! These are the only places where a [`TaskRecord`]'s status changes. They
//! decide; a store carries out what they decided as one atomic step and adds
//! nothing of its own (invariant 10).
//!
//! 1. A terminal record never changes (invariant 4): every transition refuses
//!    it with [`Refused::Terminal`], or does nothing.
//! 2. A worker's write names the epoch of its claim; any other epoch is
//!    refused with [`Refused::Fenced`] (invariant 5).
//! 3. A task that is not terminal is either queued or owned (invariant 6). An
//!    ended one is owned only while its body goes on.
//! 4. The epoch grows with each claim and takeover; the revision never shrinks.
//! 5. An attempt that may have had effects is followed by another one only
//!    where its worker asks for that, or below `max_attempts` (invariant 7).

use std::sync::Arc;

use super::{
    End, Epoch, Input, NewTask, Notice, Outcome, Question, Release, SessionId, Status, TaskFailure,
    TaskRecord, Timestamp,
};
use crate::progress::ProgressState;
use crate::store::{Purged, Report};

/// Why a worker's write was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The task has ended; the first terminal write won.
    Terminal,
    /// The task belongs to somebody else by now.
    Fenced,
}

/// What a request to cancel came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelAck {
    /// Nobody worked on it, and it has ended.
    Ended,
    /// Its worker has been asked; it may still end otherwise.
    Requested,
    /// There was nothing to do: it had ended, or been asked before.
    Unchanged,
}

/// What became of a task of a dead session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Takeover {
    /// It is queued for another attempt.
    Requeued,
    /// It has ended.
    Ended,
    /// It had ended, and nobody knows of its body any more.
    Freed,
}

impl TaskRecord {
    /// The newest version of what is in a record that this program knows. A
    /// store keeps one with each record, see [`format`](Self::format); a program
    /// reads those up to its own, and refuses newer ones by name.
    pub const FORMAT: u32 = 3;

    /// The oldest version that can do right by this record: 3 if somebody
    /// outside is to be told of it, 2 if its attempts have asked anything, 1
    /// otherwise. So workers of version 1 go on with tasks that never ask, beside
    /// newer ones. What a store keeps grows with this, and never shrinks.
    pub fn format(&self) -> u32 {
        match (&self.notice, &self.input) {
            (Some(_), _) => 3,
            (None, Some(_)) => 2,
            (None, None) => 1,
        }
    }

    /// Accepts a call: the task is queued.
    pub fn admit(new: NewTask, now: Timestamp) -> Self {
        Self {
            id: new.id,
            tool: new.tool,
            principal: new.principal,
            arguments: new.arguments,
            status: Status::Queued,
            attempt: 0,
            max_attempts: new.max_attempts,
            concurrency: new.concurrency,
            epoch: Epoch::default(),
            owner: None,
            revision: 1,
            report: 0,
            not_before: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            deadline: now.plus(new.max_wait),
            retention: new.retention,
            cancel: None,
            progress: None,
            history: None,
            origin: new.origin,
            notice: new.notify.then(Notice::default),
            input: None,
            outcome: None,
        }
    }

    /// Whether it could be claimed at this moment, if its concurrency keys
    /// have room.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        self.status == Status::Queued && self.not_before.is_none_or(|moment| moment <= now)
    }

    /// Gives a task that is ready to a worker, which starts an attempt. False,
    /// and nothing changes, if it is not ready.
    pub fn claim(&mut self, session: SessionId, now: Timestamp) -> bool {
        if !self.is_ready(now) {
            return false;
        }
        self.become_status(Status::Working);
        self.epoch = self.epoch.next();
        self.owner = Some(session);
        self.attempt += 1;
        self.started_at = Some(now);
        self.not_before = None;
        self.report = 0;
        self.progress = None;
        true
    }

    /// Gives up what a session owns of the task. What was asked to stop
    /// meanwhile ends instead of being queued.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the task has ended, unless its body went on, or belongs
    /// to somebody else.
    pub fn release(
        &mut self,
        epoch: Epoch,
        release: Release,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if matches!(release, Release::Stopped) {
            let lingers = self.status.is_terminal() && self.owner.is_some();
            if !lingers || self.epoch != epoch {
                return Err(Refused::Fenced);
            }
            self.owner = None;
            return Ok(());
        }
        self.fence(epoch)?;
        let retry = match release {
            Release::Retry(retry) => Some(retry),
            Release::NotStarted | Release::Stopped => None,
        };
        match &retry {
            Some(retry) => {
                self.revision = self.revision.max(retry.revision);
                self.remember(retry.history.as_ref());
            }
            None => {
                // As if it had not been claimed.
                self.attempt -= 1;
                self.started_at = None;
            }
        }
        if let Some(reason) = self.cancel.take() {
            self.end(Outcome::Cancelled(reason), now);
            return Ok(());
        }
        self.requeue();
        if let Some(retry) = retry {
            // Without a pause no clock has to come to a moment.
            self.not_before = (!retry.after.is_zero()).then(|| now.plus(retry.after));
            self.say(retry.message);
        }
        Ok(())
    }

    /// Keeps what an attempt reported; a late report changes nothing.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the task has ended or belongs to somebody else.
    pub fn report(&mut self, report: &Report) -> Result<(), Refused> {
        self.fence(report.epoch)?;
        if report.number > self.report {
            self.report = report.number;
            self.revision = self.revision.max(report.revision);
            self.progress = Some(Arc::clone(&report.progress));
            self.remember(report.history.as_ref());
        }
        Ok(())
    }

    /// Whether the present epoch owns the task, which lets it write.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the task has ended or belongs to somebody else.
    pub fn fence(&self, epoch: Epoch) -> Result<(), Refused> {
        if self.status.is_terminal() {
            Err(Refused::Terminal)
        } else if self.epoch != epoch || self.owner.is_none() {
            Err(Refused::Fenced)
        } else {
            Ok(())
        }
    }

    /// Ends a task as its worker reports.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the task has ended or belongs to somebody else.
    pub fn finish(&mut self, epoch: Epoch, end: End, now: Timestamp) -> Result<(), Refused> {
        self.fence(epoch)?;
        self.revision = self.revision.max(end.revision);
        self.remember(end.history.as_ref());
        let owner = self.owner;
        self.end(end.outcome, now);
        if end.lingers {
            self.owner = owner;
        }
        Ok(())
    }

    /// Keeps what an attempt waits for: these questions, instead of those that
    /// it asked before. With none it goes on working.
    ///
    /// Questions of earlier attempts stay open until they are answered or asked
    /// again, for a client may have seen them.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the task has ended or belongs to somebody else.
    pub fn ask(
        &mut self,
        epoch: Epoch,
        mut questions: Vec<Question>,
        revision: u64,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.fence(epoch)?;
        self.revision = self.revision.max(revision);
        for question in &mut questions {
            question.epoch = epoch;
        }
        if self.open_questions().eq(&questions) {
            return Ok(());
        }
        let known = self.input.iter().flat_map(|input| &input.questions);
        let mut kept: Vec<Question> = known
            .filter(|known| {
                known.epoch != epoch && questions.iter().all(|new| new.key != known.key)
            })
            .cloned()
            .collect();
        let surplus = (kept.len() + questions.len()).saturating_sub(Input::KEPT);
        kept.drain(..surplus.min(kept.len()));
        self.become_status(if questions.is_empty() {
            Status::Working
        } else {
            Status::InputRequired
        });
        if !questions.is_empty() {
            self.announce(now);
        }
        kept.append(&mut questions);
        self.input = Some(Arc::new(Input::new(kept, now)));
        Ok(())
    }

    /// Closes a question that was answered; whether it was open.
    pub fn answer(&mut self, key: &str, now: Timestamp) -> bool {
        let Some(input) = &self.input else {
            return false;
        };
        let mut input = Input::clone(input);
        let Some(at) = input.questions.iter().position(|known| &*known.key == key) else {
            return false;
        };
        let answered = input.questions.remove(at);
        let waited = self.status == Status::InputRequired && answered.epoch == self.epoch;
        if waited {
            input.at = now;
        }
        self.input = Some(Arc::new(input));
        if waited {
            let open = self.open_questions().next().is_some();
            self.become_status(if open {
                Status::InputRequired
            } else {
                Status::Working
            });
        }
        true
    }

    /// What the present attempt waits for; nothing unless the status is
    /// [`Status::InputRequired`].
    pub fn open_questions(&self) -> impl Iterator<Item = &Question> {
        let waits = self.status == Status::InputRequired;
        let questions = self.input.iter().flat_map(|input| &input.questions);
        questions.filter(move |question| waits && question.epoch == self.epoch)
    }

    /// When what clients see of the task last changed, progress apart.
    pub fn updated_at(&self) -> Timestamp {
        let input = self.input.as_ref().map(|input| input.at);
        [self.started_at, input, self.finished_at]
            .into_iter()
            .flatten()
            .fold(self.created_at, Timestamp::max)
    }

    /// Asks a task to stop. A queued one ends at once.
    pub fn request_cancel(&mut self, reason: &Arc<str>, now: Timestamp) -> CancelAck {
        match self.status {
            Status::Queued => {
                self.end(Outcome::Cancelled(Arc::clone(reason)), now);
                CancelAck::Ended
            }
            Status::Working | Status::InputRequired if self.cancel.is_none() => {
                self.cancel = Some(Arc::clone(reason));
                self.revision += 1;
                CancelAck::Requested
            }
            _ => CancelAck::Unchanged,
        }
    }

    /// Ends a queued task whose deadline has passed. False, and nothing
    /// changes, if that is not so; a task that is being worked on is ended by
    /// its worker.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        if self.status != Status::Queued || now < self.deadline {
            return false;
        }
        let failure = TaskFailure::timed_out(
            "deadline",
            "the deadline passed before the task was started",
        );
        self.end(Outcome::Failed(Box::new(failure)), now);
        true
    }

    /// Takes a task from a dead session. None, and nothing changes, if nobody
    /// owned it.
    ///
    /// The new epoch fences the worker should it be alive after all.
    pub fn take_over(&mut self, now: Timestamp) -> Option<Takeover> {
        /// Its worker may have shown steps that it could not store: who waits for
        /// a change after those must not wait for ever. A task has at most 200
        /// steps.
        const UNSTORED: u64 = 1000;

        self.owner?;
        self.epoch = self.epoch.next();
        if self.status.is_terminal() {
            self.owner = None;
            return Some(Takeover::Freed);
        }
        self.revision += UNSTORED;
        // Somebody had asked it to stop, and it did.
        let outcome = match &self.cancel {
            Some(reason) => Outcome::Cancelled(Arc::clone(reason)),
            None if self.attempt < self.max_attempts => {
                self.requeue();
                self.say("its worker died; it will be started again".to_owned());
                return Some(Takeover::Requeued);
            }
            None => Outcome::Failed(Box::new(TaskFailure::interrupted(
                "the worker that executed the task died; what it had done by then may have had effects",
            ))),
        };
        self.end(outcome, now);
        Some(Takeover::Ended)
    }

    /// When the record may be purged; none while it is not terminal.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.finished_at
            .map(|finished| finished.plus(self.retention))
    }

    /// What a request to delete it comes to.
    pub fn purge(&self) -> Purged {
        if !self.status.is_terminal() {
            Purged::NotEnded
        } else if self.owner.is_some() || self.notice.as_ref().is_some_and(|it| it.due.is_some()) {
            Purged::InUse
        } else {
            Purged::Gone
        }
    }

    fn requeue(&mut self) {
        self.become_status(Status::Queued);
        self.owner = None;
        self.not_before = None;
        self.progress = None;
    }

    fn remember(&mut self, history: Option<&Arc<str>>) {
        if let Some(history) = history {
            self.history = Some(Arc::clone(history));
        }
    }

    fn say(&mut self, message: String) {
        self.progress = Some(Arc::new(ProgressState {
            message: Some(message),
            ..ProgressState::default()
        }));
    }

    fn end(&mut self, outcome: Outcome, now: Timestamp) {
        self.become_status(outcome.status());
        self.owner = None;
        self.not_before = None;
        self.finished_at = Some(now.max(self.created_at));
        self.progress = None;
        self.input = None;
        self.outcome = Some(outcome);
        // Nobody runs it again, and retention may be long.
        self.arguments = Arc::default();
        self.announce(now);
    }

    fn become_status(&mut self, status: Status) {
        self.status = status;
        self.revision += 1;
    }
}
