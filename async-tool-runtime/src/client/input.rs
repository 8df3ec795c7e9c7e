//! What a task asks its caller.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A question of a task to its caller.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Question {
    /// Names it, and no other question of the task, ever.
    pub key: String,
    /// The question, for people and models to read.
    pub message: String,
    /// The JSON schema of an answer's content.
    #[serde(default)]
    pub schema: Value,
}

/// What a caller says to a [`Question`].
#[derive(Clone, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the three actions of MCP's elicitation"
)]
pub enum Answer {
    /// The answer.
    Accept {
        /// An object that fits the question's schema.
        content: Value,
    },
    /// No.
    Decline,
    /// No answer: the question was dismissed.
    Cancel,
}

impl Answer {
    /// An answer, which must be an object that fits the question's schema.
    pub fn accept(content: impl Into<Value>) -> Self {
        Self::Accept {
            content: content.into(),
        }
    }
}

/// Answers may be secret.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept { .. } => "Accept(..)",
            Self::Decline => "Decline",
            Self::Cancel => "Cancel",
        })
    }
}

/// Finds answers.
pub(super) type OnInput = Arc<dyn Fn(Question) -> BoxFuture<'static, Answer> + Send + Sync>;

/// An answer that is being found, or waits for being received.
pub(super) enum Answering {
    Thinking(BoxFuture<'static, Answer>),
    Ready(Answer),
}

impl Answering {
    /// # Cancel safety
    ///
    /// Nothing is lost: it thinks on, and gives the same answer again.
    pub(super) async fn answer(&mut self) -> Answer {
        loop {
            match self {
                Self::Thinking(thinking) => *self = Self::Ready(thinking.await),
                Self::Ready(answer) => return answer.clone(),
            }
        }
    }
}
