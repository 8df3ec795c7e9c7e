//! Questions of a task to its caller.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::context::TaskContext;
use crate::error::{DEFAULT_CODE, Facts, ToolError};
use crate::schema;
use crate::task::{Epoch, Question};

/// Most questions that an attempt asks.
const MAX_QUESTIONS: usize = 100;
/// Longest question, in characters.
const MAX_MESSAGE: usize = 2000;

/// See [`TaskContext::ask`].
pub(crate) async fn ask<T>(task: &TaskContext, message: String) -> Result<T, AskError>
where
    T: DeserializeOwned + JsonSchema,
{
    let length = message.chars().count();
    if !(1..=MAX_MESSAGE).contains(&length) {
        return Err(AskError::misused(format!(
            "a question must have 1 to {MAX_MESSAGE} characters, not {length}"
        )));
    }
    let schema = schema::of_answer::<T>().map_err(AskError::misused)?;
    let schema = schema.to_string();
    let inbox = task.inbox();
    let key = inbox.key(&message, &schema)?;
    let question = Question::new(key, message, schema, Epoch(task.epoch()));
    let json = inbox.desk.ask(question).await?;
    match Answer::from_json(&json) {
        Some(Answer::Accept(content)) => serde_json::from_value(content).map_err(|error| {
            AskError::incompatible(format!(
                "the answer does not fit this version of the tool: {error}"
            ))
        }),
        Some(Answer::Decline) => Err(AskError::new(
            Kind::Declined,
            "input_declined",
            "the caller declined to answer",
        )),
        Some(Answer::Cancel) => Err(AskError::new(
            Kind::Dismissed,
            "input_dismissed",
            "the caller dismissed the question",
        )),
        None => Err(AskError::incompatible("the recorded answer cannot be read")),
    }
}

/// Puts questions to the caller of one attempt's task.
pub(crate) trait Desk: Send + Sync {
    /// Asks, unless that was answered before, and waits for the answer, as JSON
    /// text.
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Arc<str>, Unanswered>>;
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The task was asked to stop.
    Stopped,
    /// The task belongs to somebody else by now.
    Fenced,
    /// The tool does not say that it asks.
    NotInteractive,
    /// The task belongs to no server.
    Nobody,
    TooMany {
        limit: usize,
    },
}

/// The questions of one attempt.
pub(crate) struct Inbox {
    desk: Box<dyn Desk>,
    /// How often each was asked.
    asked: Mutex<HashMap<String, usize>>,
}

impl Inbox {
    pub(crate) fn new(desk: impl Desk + 'static) -> Self {
        Self {
            desk: Box::new(desk),
            asked: Mutex::default(),
        }
    }

    /// A key that the same question has in every attempt, and no other: made
    /// from its text, its schema, and how often it was asked before.
    fn key(&self, message: &str, schema: &str) -> Result<String, AskError> {
        let mut hash = Sha256::new();
        hash.update(message);
        hash.update([0]);
        hash.update(schema);
        let digest = hash.finalize();
        let name: String = digest[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.values().sum::<usize>() >= MAX_QUESTIONS {
            return Err(AskError::misused(format!(
                "a task asks at most {MAX_QUESTIONS} questions"
            )));
        }
        let times = asked.entry(name.clone()).or_default();
        *times += 1;
        Ok(format!("{name}-{times}"))
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// Nobody to ask: for contexts that belong to no server.
pub(crate) struct NoDesk;

impl Desk for NoDesk {
    fn ask(&self, _: Question) -> BoxFuture<'_, Result<Arc<str>, Unanswered>> {
        Box::pin(async { Err(Unanswered::Nobody) })
    }
}

/// What a caller said to a question (specification: `ElicitResult`).
#[derive(Clone, PartialEq)]
pub(crate) enum Answer {
    Accept(Value),
    Decline,
    Cancel,
}

impl Answer {
    /// The most that is recorded of an answer, in bytes of JSON.
    pub(crate) const LONGEST: usize = 256 * 1024;

    /// An answer as the protocol has it; None if it is none.
    pub(crate) fn from_value(value: Value) -> Option<Self> {
        let Value::Object(mut answer) = value else {
            return None;
        };
        match answer.get("action")?.as_str()? {
            "accept" => match answer.remove("content").unwrap_or_else(|| json!({})) {
                content @ Value::Object(_) => Some(Self::Accept(content)),
                _ => None,
            },
            "decline" => Some(Self::Decline),
            "cancel" => Some(Self::Cancel),
            _ => None,
        }
    }

    pub(crate) fn from_json(json: &str) -> Option<Self> {
        Self::from_value(serde_json::from_str(json).ok()?)
    }

    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Accept(content) => json!({"action": "accept", "content": content}),
            Self::Decline => json!({"action": "decline"}),
            Self::Cancel => json!({"action": "cancel"}),
        }
        .to_string()
    }
}

/// Why a question was not answered with what was asked for. As the error of a
/// tool it has a code of its own, whatever error type it went through.
pub struct AskError {
    kind: Kind,
    facts: Facts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Declined,
    Dismissed,
    Stopped,
    Other,
}

impl AskError {
    /// What a caller answers says nothing about whether the tool works.
    fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            facts: Facts::new(code, message.into()).uncounted(),
        }
    }

    fn incompatible(message: impl Into<String>) -> Self {
        Self::new(Kind::Other, "incompatible_answer", message)
    }

    /// A mistake in the tool's code.
    fn misused(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Other,
            facts: Facts::new(DEFAULT_CODE, message.into()),
        }
    }

    /// Whether the caller said no. The code is `input_declined`.
    pub fn is_declined(&self) -> bool {
        self.kind == Kind::Declined
    }

    /// Whether the caller put the question aside without an answer. The code is
    /// `input_dismissed`.
    pub fn is_dismissed(&self) -> bool {
        self.kind == Kind::Dismissed
    }

    /// Whether the task was asked to stop while it waited.
    pub fn is_cancelled(&self) -> bool {
        self.kind == Kind::Stopped
    }
}

impl From<Unanswered> for AskError {
    fn from(reason: Unanswered) -> Self {
        match reason {
            Unanswered::Stopped => Self::new(
                Kind::Stopped,
                "cancelled",
                crate::error::Cancelled.to_string(),
            ),
            Unanswered::Fenced => Self::misused("the task belongs to another worker by now"),
            Unanswered::NotInteractive => Self::misused(
                "a tool that asks needs the option `interactive`: without it there is nothing to \
                 answer with",
            ),
            Unanswered::Nobody => {
                Self::misused("this task belongs to no server: there is nobody to ask")
            }
            Unanswered::TooMany { limit } => {
                Self::misused(format!("a task waits for at most {limit} answers at once"))
            }
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(f)
    }
}

impl fmt::Debug for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskError({self})")
    }
}

impl Error for AskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.facts)
    }
}

impl From<AskError> for ToolError {
    fn from(error: AskError) -> Self {
        Self::from_facts(error.facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_the_same_key_in_every_attempt_and_no_other() {
        let keys = || {
            let inbox = Inbox::new(NoDesk);
            [("a", "{}"), ("b", "{}"), ("a", "[]"), ("a", "{}")]
                .map(|(message, schema)| inbox.key(message, schema).expect("few"))
        };
        let first = keys();
        assert_eq!(first, keys());
        let distinct: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), first.len(), "{first:?}");
    }

    #[test]
    fn an_attempt_asks_a_limited_number_of_questions() {
        let inbox = Inbox::new(NoDesk);
        for number in 0..MAX_QUESTIONS {
            assert!(inbox.key(&(number % 7).to_string(), "{}").is_ok());
        }
        assert!(inbox.key("one more", "{}").is_err());
    }

    #[test]
    fn answers_are_what_the_protocol_says() {
        for (json, expected) in [
            (
                json!({"action": "accept", "content": {"a": 1}}),
                Some(Answer::Accept(json!({"a": 1}))),
            ),
            (json!({"action": "accept"}), Some(Answer::Accept(json!({})))),
            (
                json!({"action": "decline", "content": {}}),
                Some(Answer::Decline),
            ),
            (json!({"action": "cancel"}), Some(Answer::Cancel)),
            (json!({"action": "accept", "content": 3}), None),
            (json!({"action": "yes"}), None),
            (json!("accept"), None),
        ] {
            let answer = Answer::from_value(json.clone());
            assert!(answer == expected, "{json}");
            if let Some(answer) = answer {
                assert!(Answer::from_json(&answer.to_json()) == Some(answer));
            }
        }
    }

    #[tokio::test]
    async fn a_context_of_no_server_has_nobody_to_ask() {
        #[derive(serde::Deserialize, JsonSchema)]
        struct Yes {
            #[expect(dead_code, reason = "only its schema counts")]
            yes: bool,
        }
        let task = TaskContext::detached("t");
        let error = task.ask::<Yes>("Sure?").await.err().expect("nobody");
        assert!(error.to_string().contains("nobody to ask"), "{error}");
        assert!(task.ask::<Yes>("").await.is_err());
    }
}
