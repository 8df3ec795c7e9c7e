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

/// How to end a word.
#[derive(Debug)]
pub struct Voice {
    end: &'static str,
}

#[async_tool(crate = ::renamed)]
impl Voice {
    /// Such a voice.
    pub fn new(end: &'static str) -> Self {
        Self { end }
    }

    /// Say a word.
    #[async_tool]
    pub async fn shout(&self, word: String) -> String {
        word + self.end
    }
}
