//! The [`AsyncTool`] trait, and the type-erased form the engine runs.

use std::any::TypeId;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::TaskContext;
use crate::descriptor::Descriptor;
use crate::error::BoxError;
use crate::schema::{self, ToolSchemas};
use crate::state::{Borrow, StateMap};

/// A tool whose calls become tasks.
///
/// `#[async_tool]` implements this for the unit struct that it generates.
/// Implement it by hand for a tool that no attribute can express, for
/// instance one whose descriptor is computed:
///
/// ```
/// use async_tool_runtime::{AsyncTool, BoxError, Call, Descriptor};
///
/// #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// struct Sleep { seconds: u64 }
///
/// struct SleepTool;
///
/// impl AsyncTool for SleepTool {
///     type Input = Sleep;
///     type Output = u64;
///
///     fn descriptor(&self) -> &'static Descriptor {
///         static SLEEP: Descriptor = Descriptor::new("sleep").description("Sleep for a while.");
///         &SLEEP
///     }
///
///     async fn run(&self, input: Sleep, call: Call<'_>) -> Result<u64, BoxError> {
///         call.context().check_cancelled()?;
///         Ok(input.seconds)
///     }
/// }
/// ```
pub trait AsyncTool: Send + Sync + 'static {
    /// The arguments, as one struct. Its JSON schema must be a plain object.
    type Input: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// The result of a completed task.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// The tool's static description.
    fn descriptor(&self) -> &'static Descriptor;

    /// What [`run`](Self::run) borrows from the server by way of
    /// [`Call::borrow`], so that `build()` can name what nobody provided.
    fn borrows(&self) -> Vec<Borrow> {
        Vec::new()
    }

    /// Executes one attempt.
    ///
    /// # Errors
    ///
    /// Whatever the tool's author returns; see
    /// [`ToolError`](crate::ToolError) for what a client sees of it.
    fn run(
        &self,
        input: Self::Input,
        call: Call<'_>,
    ) -> impl Future<Output = Result<Self::Output, BoxError>> + Send;
}

/// What the server lends to one attempt: the task's own things and the
/// application's state.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    context: &'a TaskContext,
    state: &'a StateMap,
}

impl<'a> Call<'a> {
    pub(crate) fn new(context: &'a TaskContext, state: &'a StateMap) -> Self {
        Self { context, state }
    }

    /// The task that is being executed.
    pub fn context(self) -> &'a TaskContext {
        self.context
    }

    /// Borrows a value by its type: [`TaskContext`],
    /// [`Progress`](crate::Progress) and
    /// [`CancellationToken`](tokio_util::sync::CancellationToken) are the
    /// task's own; any other type is what was given to the builder's
    /// `.state(value)`.
    ///
    /// # Panics
    ///
    /// When nobody provided a `T`. A tool that lists its
    /// [`borrows`](AsyncTool::borrows) is refused by `build()` instead.
    #[expect(
        clippy::should_implement_trait,
        reason = "std's Borrow is about equivalence; this is the word of the design"
    )]
    pub fn borrow<T: 'static>(self) -> &'a T {
        let own: [&'a (dyn std::any::Any + Send + Sync); 3] = [
            self.context,
            self.context.progress(),
            self.context.cancellation(),
        ];
        own.into_iter()
            .find_map(|value| value.downcast_ref())
            .or_else(|| self.state.get())
            .unwrap_or_else(|| {
                panic!(
                    "no value of type `{}` was given to `.state(...)`",
                    std::any::type_name::<T>()
                )
            })
    }
}

/// An [`AsyncTool`] whose types are forgotten.
pub(crate) trait ErasedTool: Send + Sync {
    fn descriptor(&self) -> &'static Descriptor;
    fn borrows(&self) -> Vec<Borrow>;
    fn schemas(&self) -> ToolSchemas;
    fn tool_type(&self) -> TypeId;
    /// Whether these arguments decode, without running anything.
    fn check(&self, arguments: Value) -> Result<(), DecodeError>;
    /// The arguments as the input type writes them: with defaults filled in.
    fn filled_in(&self, arguments: Value) -> Result<Value, DecodeError>;
    /// Decodes, runs, encodes. `result_limit` is in bytes of JSON.
    fn run<'a>(
        &'a self,
        arguments: Value,
        call: Call<'a>,
        result_limit: usize,
    ) -> BoxFuture<'a, Result<String, RunError>>;
}

/// Arguments that the tool's input type refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecodeError {
    /// JSON pointer to the offending value; empty for the whole.
    pub(crate) path: String,
    pub(crate) message: String,
}

/// Why an attempt gave no result.
#[derive(Debug)]
pub(crate) enum RunError {
    Decode(DecodeError),
    Tool(BoxError),
    Encode(EncodeError),
}

/// Why a result could not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EncodeError {
    TooLarge {
        limit: usize,
    },
    NotJson(String),
    /// Does not conform to the tool's own schema.
    Mismatch(String),
}

pub(crate) type SharedTool = Arc<dyn ErasedTool>;

impl<T: AsyncTool> ErasedTool for T {
    fn descriptor(&self) -> &'static Descriptor {
        AsyncTool::descriptor(self)
    }

    fn borrows(&self) -> Vec<Borrow> {
        AsyncTool::borrows(self)
    }

    fn schemas(&self) -> ToolSchemas {
        schema::of_tool::<T::Input, T::Output>()
    }

    fn tool_type(&self) -> TypeId {
        TypeId::of::<T>()
    }

    fn check(&self, arguments: Value) -> Result<(), DecodeError> {
        decode::<T::Input>(arguments).map(drop)
    }

    fn filled_in(&self, arguments: Value) -> Result<Value, DecodeError> {
        let input = decode::<T::Input>(arguments)?;
        serde_json::to_value(input).map_err(|error| DecodeError {
            path: String::new(),
            message: format!("the arguments cannot be written as JSON: {error}"),
        })
    }

    fn run<'a>(
        &'a self,
        arguments: Value,
        call: Call<'a>,
        result_limit: usize,
    ) -> BoxFuture<'a, Result<String, RunError>> {
        Box::pin(async move {
            let input = decode(arguments).map_err(RunError::Decode)?;
            let output = AsyncTool::run(self, input, call)
                .await
                .map_err(RunError::Tool)?;
            encode(&output, result_limit).map_err(RunError::Encode)
        })
    }
}

fn decode<I: DeserializeOwned>(arguments: Value) -> Result<I, DecodeError> {
    serde_path_to_error::deserialize(arguments).map_err(|error| DecodeError {
        path: json_pointer(error.path()),
        message: error.inner().to_string(),
    })
}

fn json_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => "/?".to_owned(),
        })
        .collect()
}

fn encode<O: Serialize>(output: &O, limit: usize) -> Result<String, EncodeError> {
    let mut writer = Bounded {
        bytes: Vec::new(),
        limit,
        exceeded: false,
    };
    match serde_json::to_writer(&mut writer, output) {
        Ok(()) => {
            String::from_utf8(writer.bytes).map_err(|error| EncodeError::NotJson(error.to_string()))
        }
        Err(_) if writer.exceeded => Err(EncodeError::TooLarge { limit }),
        Err(error) => Err(EncodeError::NotJson(error.to_string())),
    }
}

/// Stops the serialiser at the limit, so that a huge result costs no more
/// memory than an allowed one.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    exceeded: bool,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.exceeded = true;
            return Err(std::io::Error::other("result too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
