//! The runtime of [`async-tool`](https://crates.io/crates/async-tool): what a
//! tool's author touches, the task engine, the stores, and the MCP server side.
//!
//! Applications name the `async-tool` crate, which re-exports all of this.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod catalog;
#[cfg(feature = "client")]
pub mod client;
mod context;
#[cfg(feature = "dashboard")]
pub mod dashboard;
mod descriptor;
mod engine;
mod error;
mod input;
mod log;
mod progress;
mod refusal;
mod registry;
mod schema;
mod server;
mod state;
mod steps;
pub mod store;
mod task;
mod telemetry;
#[cfg(test)]
mod test_log;
#[cfg(test)]
mod test_tool;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tool;

#[doc(hidden)]
#[path = "private.rs"]
#[allow(missing_docs, reason = "not public API")]
pub mod __private;

pub use builder::{AsyncToolsBuilder, BuildError};
pub use context::TaskContext;
pub use descriptor::{
    Annotations, Circuit, ConcurrencyKey, Dedupe, Descriptor, Names, OnInterrupt, Retry, Surface,
    Surfaces, Undeclared,
};
pub use engine::{
    CircuitHealth, CircuitState, Health, LeaseHealth, LeaseState, QueueHealth, StoreHealth,
    ToolQueueHealth,
};
pub use error::{BoxError, Cancelled, ToolError};
pub use input::AskError;
pub use progress::{Progress, ProgressState, Steps};
pub use registry::Registry;
pub use server::{AsyncTools, Composed, NameClash, Request, ServeError};
#[cfg(feature = "streamable-http")]
pub use server::{HttpBody, HttpLayer, HttpService};
pub use state::Borrow;
pub use steps::StepError;
pub use store::MemoryStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
#[cfg(feature = "postgres")]
pub use store::{PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "redis")]
pub use store::{RedisStore, RedisStoreBuilder};
pub use task::{InvalidTaskId, Principal, TaskId};
pub use telemetry::{Alert, AlertEvent, TraceContext};
pub use tool::{AsyncTool, Call};
