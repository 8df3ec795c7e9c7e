//! The runtime of [`async-tool`](https://crates.io/crates/async-tool): what a
//! tool's author touches, the task engine, the stores, and the MCP server side.
//!
//! Applications name the `async-tool` crate, which re-exports all of this.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod context;
mod descriptor;
mod error;
mod progress;
mod registry;
mod schema;
mod server;
mod state;
mod task;
mod tool;

#[doc(hidden)]
#[path = "private.rs"]
#[allow(missing_docs, reason = "not public API")]
pub mod __private;

pub use context::TaskContext;
pub use descriptor::{Annotations, Descriptor, Names};
pub use error::{BoxError, Cancelled, ToolError};
pub use progress::{Progress, ProgressState, Steps};
pub use registry::Registry;
pub use server::{Composed, NameClash};
pub use state::Borrow;
pub use task::{InvalidTaskId, Principal, TaskId};
pub use tool::{AsyncTool, Call};
