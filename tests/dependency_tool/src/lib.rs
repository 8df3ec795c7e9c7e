//! A crate with a tool in it, which knows `async-tool` by another name.

use renamed::{TaskContext, async_tool};

/// Greet somebody.
#[async_tool(crate = ::renamed)]
pub async fn greet(
    /// Whom to greet.
    name: String,
    task: &TaskContext,
) -> String {
    format!("{}: hello {name}", task.tool())
}
