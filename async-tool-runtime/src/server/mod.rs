//! The MCP side: what rmcp calls. Beside the test client, only this names
//! rmcp's types (invariant 9).

mod compose;
mod define;
mod handler;
mod list;
mod listen;
mod native;
mod published;
mod request;
mod resources;
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
pub use stdio::ServeError;
pub(crate) use subscribers::Subscribers;
pub(crate) use tools::ToolServer;
