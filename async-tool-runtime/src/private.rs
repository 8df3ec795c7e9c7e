//! What expansions of `#[async_tool]` name. Not public API: anything here may
//! change in any release; the macro and the runtime are pinned to each other.

use std::marker::PhantomData;

pub use schemars;
pub use schemars::JsonSchema;
pub use serde;
pub use serde::{Deserialize, Serialize};

pub use crate::descriptor::{Annotations, Descriptor, Names};
pub use crate::error::BoxError;
pub use crate::state::Borrow;
pub use crate::tool::{AsyncTool, Call};

#[cfg(feature = "inventory")]
pub use crate::registry::{Registration, registered};
#[cfg(feature = "inventory")]
pub use inventory;

/// Whether a return type is a `Result`, told by type and not by spelling: the
/// inherent constant exists for `Result` alone and wins over the trait's.
pub struct Probe<R>(PhantomData<R>);

impl<T, E> Probe<Result<T, E>> {
    /// This return type is a `Result`.
    pub const IS_RESULT: bool = true;
}

/// See [`Probe`].
pub trait NotResult {
    /// This return type is no `Result`.
    const IS_RESULT: bool = false;
}

impl<R> NotResult for Probe<R> {}

/// A return type, split into output and error. The constant says which of the
/// two implementations is meant and comes from [`Probe`]; without it they
/// would overlap.
pub trait Returns<const IS_RESULT: bool> {
    /// The result of a completed task.
    type Output;
    /// The error of a failed one.
    type Error;

    /// The value as a `Result`.
    fn into_result(self) -> Result<Self::Output, Self::Error>;
}

impl<T, E> Returns<true> for Result<T, E> {
    type Output = T;
    type Error = E;

    fn into_result(self) -> Result<T, E> {
        self
    }
}

impl<T> Returns<false> for T {
    type Output = T;
    type Error = std::convert::Infallible;

    fn into_result(self) -> Result<T, std::convert::Infallible> {
        Ok(self)
    }
}

/// An error type that a tool may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of an async tool",
    label = "does not convert into `Box<dyn Error + Send + Sync>`",
    note = "implement `std::error::Error` for it, or return `ToolError`, `anyhow::Error` or `String`"
)]
pub trait IntoToolError {
    /// The error as the runtime carries it.
    fn into_box(self) -> BoxError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> IntoToolError for E {
    fn into_box(self) -> BoxError {
        self.into()
    }
}

/// Registers a tool with `inventory`, where that feature is on.
#[cfg(feature = "inventory")]
#[macro_export]
#[doc(hidden)]
macro_rules! __async_tool_submit {
    ($tool:expr) => {
        $crate::__private::inventory::submit! {
            $crate::__private::Registration::new(|| $crate::__private::registered($tool))
        }
    };
}

/// Registers nothing: the feature `inventory` is off.
#[cfg(not(feature = "inventory"))]
#[macro_export]
#[doc(hidden)]
macro_rules! __async_tool_submit {
    ($tool:expr) => {};
}

pub use crate::__async_tool_submit as submit;
