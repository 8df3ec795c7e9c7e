//! What a tool's author returns when a task fails.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde_json::Value;

/// Any error, as the runtime carries it from the tool's function to the record.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// An error that says more than its message: a stable code, whether trying
/// again may help, and details for a program to read.
///
/// Any error type will do as the `E` of a tool; its message becomes the
/// message of the failed task, under the code `tool_error`. Return a
/// `ToolError` (directly, or through `anyhow`, `eyre` or as the source of an
/// error of your own) to set the rest.
///
/// ```
/// use async_tool_runtime::ToolError;
///
/// let error = ToolError::new("the registry refused the image")
///     .with_code("push_refused")
///     .with_retryable(true)
///     .with_details(serde_json::json!({ "image": "web:42" }));
/// assert_eq!(error.to_string(), "the registry refused the image");
/// ```
pub struct ToolError {
    facts: Facts,
}

/// What a [`ToolError`] knows, as an error of its own.
///
/// `anyhow` and its like wrap an error in a private type when they turn it
/// into a `Box<dyn Error>`, so the outermost type can no longer be found by
/// downcasting; the types of its sources can. That is why these facts are the
/// *source* of the error that authors see.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) retryable: bool,
    pub(crate) details: Option<Value>,
    pub(crate) protocol_code: Option<i32>,
    pub(crate) counted: bool,
}

/// The code of a failed task whose author chose none.
pub(crate) const DEFAULT_CODE: &str = "tool_error";

impl ToolError {
    /// An error with this message, the code `tool_error`, not retryable.
    pub fn new(message: impl Into<String>) -> Self {
        Self::from_facts(Facts::new(DEFAULT_CODE, message.into()))
    }

    pub(crate) fn from_facts(facts: Facts) -> Self {
        Self { facts }
    }

    /// Sets the code that clients can rely on, such as `quota_exceeded`; at most
    /// 100 characters are kept.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.facts.code = code.into();
        self
    }

    /// Says whether the same call may succeed later. A tool with the option
    /// `retry(...)` is then started again by itself.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.facts.retryable = retryable;
        self
    }

    /// Adds details for a program to read. They reach the client as they are,
    /// or not at all if they are larger than a result may be (see the builder's
    /// `max_result_bytes`).
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.facts.details = Some(details);
        self
    }

    /// Makes it an error of the protocol, of this JSON-RPC code, to those who
    /// call the tool as a task of MCP's own: the task is `failed` with it, and
    /// has no result. Any other error is a result that says `isError`, which a
    /// model can read. Those who use the tool's family see no difference.
    ///
    /// The codes that are free for applications are those outside of -32768 to
    /// -32000 (specification 2026-07-28, basic); -32603 is an internal error.
    #[must_use]
    pub fn with_protocol_code(mut self, code: i32) -> Self {
        self.facts.protocol_code = Some(code);
        self
    }

    /// Says whether the error counts as a failure of the tool, for its
    /// [circuit breaker](crate::Circuit) and for alerts; it does unless said
    /// otherwise.
    ///
    /// For errors that a tool in good order gives: what was asked for does not
    /// exist, the code to compile has a mistake.
    ///
    /// ```
    /// # use async_tool_runtime::ToolError;
    /// let error = ToolError::new("no such project").with_counted(false);
    /// assert!(!error.is_counted());
    /// ```
    #[must_use]
    pub fn with_counted(mut self, counted: bool) -> Self {
        self.facts.counted = counted;
        self
    }

    /// The code.
    pub fn code(&self) -> &str {
        &self.facts.code
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.facts.retryable
    }

    /// Whether it counts as a failure of the tool.
    pub fn is_counted(&self) -> bool {
        self.facts.counted
    }

    /// The details.
    pub fn details(&self) -> Option<&Value> {
        self.facts.details.as_ref()
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(f)
    }
}

impl fmt::Debug for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt_as("ToolError", f)
    }
}

impl Error for ToolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.facts)
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Facts {
    pub(crate) fn new(code: &'static str, message: String) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message,
            retryable: false,
            details: None,
            protocol_code: None,
            counted: true,
        }
    }

    /// Says nothing about whether the tool works.
    pub(crate) fn uncounted(mut self) -> Self {
        self.counted = false;
        self
    }

    fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("code", &self.code)
            .field("message", &self.message)
            .field("retryable", &self.retryable)
            .finish_non_exhaustive()
    }
}

impl Error for Facts {}

/// Reads an author's error: the message of the whole chain, and the facts of
/// the first [`ToolError`] in it.
pub(crate) fn facts_of(error: &(dyn Error + 'static)) -> Facts {
    let mut message = String::new();
    let mut link = Some(error);
    while let Some(current) = link {
        if let Some(facts) = current.downcast_ref::<Facts>() {
            return Facts {
                message: if message.is_empty() {
                    facts.message.clone()
                } else {
                    message
                },
                ..facts.clone()
            };
        }
        let text = current.to_string();
        // Many error types repeat their source in their own message.
        if !message.ends_with(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
        link = current.source();
    }
    Facts::new(DEFAULT_CODE, message)
}

/// The task was asked to stop; what
/// [`TaskContext::check_cancelled`](crate::TaskContext::check_cancelled)
/// returns so that `?` can end the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the task was asked to stop")]
#[expect(clippy::exhaustive_structs, reason = "authors return it themselves")]
pub struct Cancelled;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ToolError {
        ToolError::new("no quota left")
            .with_code("quota")
            .with_retryable(true)
            .with_details(serde_json::json!({"limit": 3}))
            .with_counted(false)
    }

    #[test]
    fn a_tool_error_keeps_its_facts_plain_and_wrapped() {
        let plain: BoxError = sample().into();
        let anyhow: BoxError = anyhow::Error::from(sample()).into();
        let context: BoxError = anyhow::Error::from(sample()).context("deploying").into();
        let eyre: BoxError = eyre::Report::from(sample()).into();

        for (error, message) in [
            (plain, "no quota left"),
            (anyhow, "no quota left"),
            (context, "deploying: no quota left"),
            (eyre, "no quota left"),
        ] {
            let facts = facts_of(error.as_ref());
            assert_eq!(facts.code, "quota");
            assert_eq!(facts.message, message);
            assert!(facts.retryable);
            assert!(!facts.counted);
            assert_eq!(facts.details, Some(serde_json::json!({"limit": 3})));
        }
    }

    #[test]
    fn any_other_error_gives_the_messages_of_its_chain() {
        let error: BoxError = anyhow::anyhow!("disk full").context("writing").into();
        let facts = facts_of(error.as_ref());
        assert_eq!(facts.code, DEFAULT_CODE);
        assert!(facts.counted);
        assert_eq!(facts.message, "writing: disk full");
        let text: BoxError = String::from("just text").into();
        assert_eq!(facts_of(text.as_ref()).message, "just text");
    }
}
