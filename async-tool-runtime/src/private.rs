//! What expansions of `#[async_tool]` name. Not public API: anything here may
//! change in any release; the macro and the runtime are pinned to each other.

use std::marker::PhantomData;

pub use schemars;
use schemars::JsonSchema;
pub use serde;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::descriptor::{
    Annotations, Circuit, ConcurrencyKey, Dedupe, Descriptor, Names, OnInterrupt, Retry, Surface,
    Surfaces, Undeclared,
};
pub use crate::error::BoxError;
pub use crate::state::Borrow;
pub use crate::tool::{AsyncTool, Call};

#[cfg(feature = "inventory")]
pub use crate::registry::submission::{Registration, registered};
#[cfg(feature = "inventory")]
pub use inventory;

/// Asks rustc about a type, by name resolution: an inherent constant exists
/// only for the types that its impl is for, and wins over that of
/// [`Otherwise`], which exists for all.
pub struct Probe<T>(PhantomData<T>);

/// Whether a return type is a `Result`: told by type and not by spelling.
impl<T, E> Probe<Result<T, E>> {
    /// It is.
    pub const IS_RESULT: bool = true;
}

/// The registration of what is a tool. Where something is missing that has
/// been reported, [`Otherwise`] steps in, so that the registration does not
/// report it again.
#[cfg(feature = "inventory")]
impl<T: AsyncTool + Default> Probe<T> {
    /// Registers the tool.
    pub const REGISTRATION: Registration = Registration::new(|| registered(T::default()));
}

/// See [`Probe`].
pub trait Otherwise {
    /// The type is no `Result`.
    const IS_RESULT: bool = false;
    /// The type is no tool.
    #[cfg(feature = "inventory")]
    const REGISTRATION: Registration =
        Registration::new(|| unreachable!("what is no tool does not compile"));
}

impl<T> Otherwise for Probe<T> {}

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

/// What a tool's input struct must be. Expansions only assume this; what is
/// missing has been reported by then, on the parameter that misses it.
pub trait Arguments: DeserializeOwned + Serialize + JsonSchema + Send + 'static {}

impl<T: DeserializeOwned + Serialize + JsonSchema + Send + 'static> Arguments for T {}

/// What a tool's return type must be, `Result` or not. Expansions only assume
/// this; what is missing has been reported by [`publishes`].
pub trait Outcome<const IS_RESULT: bool>:
    Returns<IS_RESULT, Output: Serialize + JsonSchema + Send + 'static, Error: Into<BoxError>>
{
}

impl<const IS_RESULT: bool, R> Outcome<IS_RESULT> for R where
    R: Returns<IS_RESULT, Output: Serialize + JsonSchema + Send + 'static, Error: Into<BoxError>>
{
}

/// Calls the tool's function to its end.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would not promise to be `Send`, and rustc would look for the reason in here"
)]
pub fn drive<const IS_RESULT: bool, F>(
    future: F,
) -> impl Future<Output = Result<<F::Output as Returns<IS_RESULT>>::Output, BoxError>> + Send
where
    F: Future<Output: Outcome<IS_RESULT>> + Send,
{
    async move { future.await.into_result().map_err(Into::into) }
}

/// Checks that an argument of this type can be read.
pub const fn reads_argument<T: DeserializeArgument>() {}

/// Checks that an argument of this type can be written, which clients that
/// use the input struct do.
pub const fn writes_argument<T: SerializeArgument>() {}

/// Checks that a function that returns this can be a tool.
pub const fn publishes<const IS_RESULT: bool, R>()
where
    R: Returns<
            IS_RESULT,
            Output: SerializeOutput + SchemaOutput + Send + 'static,
            Error: IntoToolError,
        >,
{
}

/// `Deserialize`, in our words where it is missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a tool: it does not implement `Deserialize`",
    label = "does not implement `serde::Deserialize`",
    note = "derive it, for this type and for the types inside it; a tool's arguments also need `serde::Serialize` and `schemars::JsonSchema`",
    note = "if the server provides it and not the caller, borrow it: `&{Self}`"
)]
pub trait DeserializeArgument: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> DeserializeArgument for T {}

/// `Serialize`, in our words where it is missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a tool: it does not implement `Serialize`",
    label = "does not implement `serde::Serialize`",
    note = "derive it, for this type and for the types inside it; a tool's arguments also need `serde::Deserialize` and `schemars::JsonSchema`",
    note = "if the server provides it and not the caller, borrow it: `&{Self}`"
)]
pub trait SerializeArgument: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> SerializeArgument for T {}

/// `Serialize`, in our words where it is missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a tool: it does not implement `Serialize`",
    label = "does not implement `serde::Serialize`",
    note = "derive it, for this type and for the types inside it; a tool's result also needs `schemars::JsonSchema`"
)]
pub trait SerializeOutput: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> SerializeOutput for T {}

/// `JsonSchema`, in our words where it is missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a tool: it does not implement `JsonSchema`",
    label = "does not implement `schemars::JsonSchema`",
    note = "derive it, for this type and for the types inside it; a tool's result also needs `serde::Serialize`"
)]
pub trait SchemaOutput: JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: JsonSchema> SchemaOutput for T {}

/// An error type that a tool may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a tool",
    label = "does not convert into `Box<dyn Error + Send + Sync>`",
    note = "implement `std::error::Error` for it, or return `ToolError`, `anyhow::Error` or `String` as the error"
)]
pub trait IntoToolError: Into<BoxError> {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> IntoToolError for E {}

/// Registers a tool with `inventory`, where that feature is on. [`Otherwise`]
/// must be in scope.
#[cfg(feature = "inventory")]
#[macro_export]
#[doc(hidden)]
macro_rules! __async_tool_submit {
    ($tool:ty) => {
        $crate::__private::inventory::submit! {
            $crate::__private::Probe::<$tool>::REGISTRATION
        }
    };
}

/// Registers nothing: the feature `inventory` is off.
#[cfg(not(feature = "inventory"))]
#[macro_export]
#[doc(hidden)]
macro_rules! __async_tool_submit {
    ($tool:ty) => {};
}

pub use crate::__async_tool_submit as submit;
