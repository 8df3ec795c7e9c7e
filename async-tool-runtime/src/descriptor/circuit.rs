//! When to stop trying.

use std::time::Duration;

/// A circuit breaker: a tool of which too many attempts have failed lately is
/// left alone for a while.
///
/// The breaker of a tool is *closed* at first. It *opens* when, of the attempts
/// that ended within [`window`](Self::window), at least
/// [`minimum`](Self::minimum) in number, the share that failed is
/// [`failure_rate`](Self::failure_rate) or more. While it is open, calls are
/// refused as `circuit_open`, with `retry_after_seconds`, and queued tasks stay
/// queued. After [`cool_down`](Self::cool_down) it is *half-open*: one attempt
/// is let through at a time, a queued task or else the next call. If it
/// succeeds, the breaker closes and forgets what was before; if it fails, the
/// breaker opens again; if it says neither, the next one is let through. An
/// attempt that waits for an answer of its caller does not hold up the next one.
///
/// Nor does one that hangs: after the longest of `cool_down`, twice what attempts
/// that succeeded have taken of late on average, and 10 seconds, another one is
/// let through beside it, and the first to end decides. If one that took longer
/// than that meets its deadline, it has failed. A timeout tells sooner.
///
/// An attempt fails by an error, a panic, a result that cannot be published, or
/// its timeout. An author says of an error that it is not the tool's fault with
/// [`ToolError::with_counted`](crate::ToolError::with_counted). A task that was
/// cancelled or was interrupted, or met its deadline (but for the case above),
/// and one whose arguments do not fit, says nothing. A call whose idempotency key is known, or that joins
/// an equal task, is answered whatever the breaker's state.
///
/// Each worker has a breaker of its own, from what its own attempts came to, and
/// begins with a closed one. Other workers of the namespace may go on executing
/// the tool, and a server that executes nothing refuses nothing.
///
/// ```
/// use std::time::Duration;
/// use async_tool_runtime::Circuit;
///
/// const CIRCUIT: Circuit = Circuit::new(0.5, Duration::from_secs(60), Duration::from_secs(30));
/// assert_eq!(CIRCUIT.minimum, 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Circuit {
    /// The share of failed attempts, above 0 and at most 1.
    pub failure_rate: f64,
    /// How long an attempt counts after its end.
    pub window: Duration,
    /// How long calls are refused before one is tried.
    pub cool_down: Duration,
    /// Of fewer attempts nothing is concluded: a share of two says little. 10,
    /// unless said otherwise; at least 1.
    pub minimum: u32,
}

impl Circuit {
    /// How many attempts there must be, unless said otherwise.
    pub const DEFAULT_MINIMUM: u32 = 10;

    /// A breaker that opens at this share of failures.
    pub const fn new(failure_rate: f64, window: Duration, cool_down: Duration) -> Self {
        Self {
            failure_rate,
            window,
            cool_down,
            minimum: Self::DEFAULT_MINIMUM,
        }
    }

    /// Sets [`minimum`](Self::minimum).
    #[must_use]
    pub const fn minimum(mut self, minimum: u32) -> Self {
        self.minimum = minimum;
        self
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        // Not written as two comparisons, so that NaN is wrong too.
        if !(self.failure_rate > 0.0 && self.failure_rate <= 1.0) {
            Some("a `failure_rate` that is not above 0 and at most 1")
        } else if self.window.is_zero() {
            Some("a `window` of zero")
        } else if self.cool_down.is_zero() {
            Some("a `cool_down` of zero")
        } else if self.minimum == 0 {
            Some("a `minimum` of zero")
        } else {
            None
        }
    }
}
