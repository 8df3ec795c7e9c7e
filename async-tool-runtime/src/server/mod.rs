//! The MCP side: the only place, with the client, that names rmcp's types
//! (invariant 9).

mod family;
mod handler;
mod request;
mod stdio;
mod tools;
mod wire;

pub(crate) use family::{Families, RESERVED};
pub use handler::AsyncTools;
pub(crate) use handler::ServerIdentity;
pub(crate) use request::PrincipalRule;
pub use request::Request;
pub use stdio::ServeError;
pub(crate) use tools::ToolServer;
