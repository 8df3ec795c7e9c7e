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
//! 3. `owner` is set exactly while a task is working or waits for input, so a
//!    task that is not terminal is either queued or owned (invariant 6).
//! 4. The epoch grows whenever the owner changes; the revision never shrinks.

use std::sync::Arc;

use super::{End, Epoch, NewTask, Outcome, SessionId, Status, TaskFailure, TaskRecord, Timestamp};
use crate::progress::ProgressState;

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

impl TaskRecord {
    /// Accepts a call: the task is queued.
    pub fn admit(new: NewTask, now: Timestamp) -> Self {
        Self {
            id: new.id,
            tool: new.tool,
            principal: new.principal,
            arguments: new.arguments,
            status: Status::Queued,
            attempt: 0,
            epoch: Epoch::default(),
            owner: None,
            revision: 1,
            created_at: now,
            started_at: None,
            finished_at: None,
            deadline: now.plus(new.max_wait),
            retention: new.retention,
            cancel: None,
            progress: None,
            outcome: None,
        }
    }

    /// Gives a queued task to a worker, which starts an attempt. False, and
    /// nothing changes, if it is not queued.
    pub fn claim(&mut self, session: SessionId, now: Timestamp) -> bool {
        if self.status != Status::Queued {
            return false;
        }
        self.become_status(Status::Working);
        self.epoch = self.epoch.next();
        self.owner = Some(session);
        self.attempt += 1;
        self.started_at = Some(now);
        self.progress = None;
        true
    }

    /// Takes a claimed task back into the queue as if it had not been
    /// claimed: its attempt has not begun. If it was asked to stop meanwhile,
    /// it ends.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the task has ended or belongs to somebody else.
    pub fn release(&mut self, epoch: Epoch, now: Timestamp) -> Result<(), Refused> {
        self.fence(epoch)?;
        self.attempt -= 1;
        self.started_at = None;
        if let Some(reason) = self.cancel.take() {
            self.end(Outcome::Cancelled(reason), now);
            return Ok(());
        }
        self.become_status(Status::Queued);
        self.owner = None;
        self.progress = None;
        Ok(())
    }

    /// Keeps what an attempt reported.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the task has ended or belongs to somebody else.
    pub fn report(
        &mut self,
        epoch: Epoch,
        progress: Arc<ProgressState>,
        revision: u64,
    ) -> Result<(), Refused> {
        self.fence(epoch)?;
        self.revision = self.revision.max(revision);
        self.progress = Some(progress);
        Ok(())
    }

    /// Ends a task as its worker reports.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the task has ended or belongs to somebody else.
    pub fn finish(&mut self, epoch: Epoch, end: End, now: Timestamp) -> Result<(), Refused> {
        self.fence(epoch)?;
        self.revision = self.revision.max(end.revision);
        self.end(end.outcome, now);
        Ok(())
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

    /// Ends a task whose worker is dead. False, and nothing changes, if
    /// nobody owned it.
    ///
    /// The new epoch fences the worker should it be alive after all.
    pub fn interrupt(&mut self, now: Timestamp) -> bool {
        if self.owner.is_none() {
            return false;
        }
        self.epoch = self.epoch.next();
        // Somebody had asked it to stop, and it did.
        let outcome = match &self.cancel {
            Some(reason) => Outcome::Cancelled(Arc::clone(reason)),
            None => Outcome::Failed(Box::new(TaskFailure::interrupted(
                "the worker that executed the task died; what it had done by then may have had effects",
            ))),
        };
        self.end(outcome, now);
        true
    }

    /// When the record may be purged; none while it is not terminal.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.finished_at
            .map(|finished| finished.plus(self.retention))
    }

    fn fence(&self, epoch: Epoch) -> Result<(), Refused> {
        if self.status.is_terminal() {
            Err(Refused::Terminal)
        } else if self.epoch != epoch || self.owner.is_none() {
            Err(Refused::Fenced)
        } else {
            Ok(())
        }
    }

    fn end(&mut self, outcome: Outcome, now: Timestamp) {
        self.become_status(outcome.status());
        self.owner = None;
        self.finished_at = Some(now.max(self.created_at));
        self.progress = None;
        self.outcome = Some(outcome);
        // Nobody runs it again, and retention may be long.
        self.arguments = Arc::default();
    }

    fn become_status(&mut self, status: Status) {
        self.status = status;
        self.revision += 1;
    }
}
