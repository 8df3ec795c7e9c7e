//! What a task keeps of the call that made it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a task keeps of the call that made it, for whoever works on it later,
/// in whatever process. Stores keep it as it is; it never changes.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// The trace to which the task belongs: a `traceparent` of
    /// [W3C Trace Context](https://www.w3.org/TR/trace-context/).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Arc<str>>,
    /// The `tracestate` that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<Arc<str>>,
    /// Where the caller wants to be told of what happens to the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<Arc<str>>,
}

impl Origin {
    /// An origin of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A URL may have a secret in it.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("traceparent", &self.traceparent)
            .finish_non_exhaustive()
    }
}
