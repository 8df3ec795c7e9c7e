//! The MCP side: what rmcp calls. Of the runtime, only `server` and `client`
//! name rmcp's types (invariant 9).

mod compose;

pub use compose::{Composed, NameClash};
