//! The task: its identity, its record, and the state machine.
//!
//! Nothing in here does I/O, spawns, or asks for the time (invariant 9).

mod id;

pub(crate) use id::{Epoch, SessionId};
pub use id::{InvalidTaskId, Principal, TaskId};
