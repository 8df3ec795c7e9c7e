//! The MCP side: what rmcp calls. Beside the clients, only this names rmcp's
//! types (invariant 9).

mod compose;
mod define;
mod handler;
mod legacy_tasks;
mod list;
mod listen;
mod listener;
mod native;
mod published;
mod request;
mod resources;
mod shim;
mod signals;
mod stdio;
mod subscribers;
mod tools;
mod wire;
mod worker;

pub use compose::{Composed, NameClash};
pub use handler::AsyncTools;
pub(crate) use handler::ServerIdentity;
pub(crate) use list::TaskList;
pub(crate) use published::{Families, RESERVED};
pub(crate) use request::PrincipalRule;
pub use request::Request;
#[cfg(feature = "streamable-http")]
pub use shim::http::{HttpBody, HttpLayer, HttpService};
pub use stdio::ServeError;
pub(crate) use subscribers::Subscribers;
pub(crate) use tools::ToolServer;
#[cfg(feature = "webhook")]
pub(crate) use wire::Snapshot;
