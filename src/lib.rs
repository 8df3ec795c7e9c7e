//! Long-running MCP tools from ordinary async functions.

pub use async_tool_macros::async_tool;
#[doc(inline)]
pub use async_tool_runtime::*;

#[doc(hidden)]
pub use async_tool_runtime::__private;
