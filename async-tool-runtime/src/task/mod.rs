//! The task: its identity, its record, and the state machine.
//!
//! Nothing in here does I/O, spawns, or asks for the time (invariant 9); the
//! transitions are in [`transition`], and every store carries them out.

mod fingerprint;
mod history;
mod id;
mod notice;
mod origin;
mod record;
mod status;
mod transition;
#[cfg(test)]
mod transition_tests;

pub use fingerprint::Fingerprint;
pub use history::{AttemptEnd, AttemptHistory, History, StepEnd, StepHistory, StepKind};
pub use id::{Epoch, InvalidTaskId, Principal, SessionId, TaskId};
pub use notice::{Notice, Told};
pub use origin::Origin;
pub use record::{
    ConcurrencyLimit, End, Input, NewTask, Outcome, Question, Release, Retry, TaskFailure, TaskKey,
    TaskRecord, Timestamp,
};
pub use status::Status;
pub use transition::{CancelAck, Refused, Takeover};
