//! Long-running MCP tools from ordinary async functions.
//!
//! An MCP tool call must be answered in seconds; builds, deployments and model
//! runs take minutes. [`#[async_tool]`](macro@async_tool) makes three tools of
//! an async function: one starts a *task* and answers at once, one reads its
//! status and can wait for it, one cancels it. The smallest program:
//!
//! ```no_run
//! use async_tool::{AsyncTools, async_tool};
//!
//! /// Sleep for a while.
//! #[async_tool(timeout = "1h")]
//! async fn nap(
//!     /// How long.
//!     seconds: u64,
//! ) -> u64 {
//!     tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
//!     seconds
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     AsyncTools::builder().build().await?.serve_stdio().await?;
//!     Ok(())
//! }
//! ```
//!
//! # What is where
//!
//! - For tools: [`#[async_tool]`](macro@async_tool), [`TaskContext`],
//!   [`Progress`], [`ToolError`], and [`AsyncTool`] to write one by hand.
//! - For servers: [`AsyncTools`] and its [builder](AsyncToolsBuilder);
//!   [`AsyncTools::wrap`] to add tools to a handler that you have.
//! - For tasks that survive the process: `SqliteStore` (feature `sqlite`) or
//!   `RedisStore` (feature `redis`), given to [`AsyncToolsBuilder::store`], or
//!   [`store::from_url`];
//!   [`AsyncTools::run_worker`] for a process that only executes.
//! - For production: `webhook` (feature `webhook`), [`Alert`], [`Circuit`],
//!   [`AsyncTools::health`], the limits of each principal
//!   ([`AsyncToolsBuilder::running_per_principal`] and its neighbours),
//!   `dashboard` (feature `dashboard`); the guides are in `docs/`.
//! - For programs that call tools: `client` (feature `client`).
//! - For tests: `testing` (feature `testing`), a client and a server in one
//!   process on a clock that can be paused.
//! - For authors of stores: [`store`].
//!
//! # What is guaranteed
//!
//! - A task is in the store before its id is told.
//! - Each task has exactly one end, and none runs or waits for ever: every
//!   task has a deadline, and those of a dead worker are taken over within two
//!   lease times by another worker of the same store.
//! - An attempt is never repeated, unless its tool says `on_interrupt = "retry"`
//!   or `retry(...)`; what [`TaskContext::step`] recorded is not even then.
//! - A task belongs to the principal that initiated it; for everybody else it
//!   does not exist.
//! - Everything is bounded, and refusals say which limit was reached.
//! - Arguments and results are never logged.
//!
//! # What is not
//!
//! - Without a durable store ([`AsyncToolsBuilder::store`]) tasks are kept in
//!   memory and are gone with the process.
//! - A tool that blocks its thread cannot be stopped: its task ends, and its
//!   slot stays taken until the function returns. As many of them as the
//!   runtime has threads stall the server; use tokio's `spawn_blocking`.
//!
//! # Features
//!
//! - `inventory` (default): every `#[async_tool]` registers itself. Without
//!   it, tools are given to the builder by hand.
//! - `sqlite`: `SqliteStore`, tasks in a file that several processes may share.
//! - `postgres`: `PostgresStore`, tasks in a database that many replicas share;
//!   `postgres-tls`: by TLS, if need be.
//! - `redis`: `RedisStore`, tasks in a Redis or Valkey server that many replicas
//!   share; with `redis-tls` over TLS, with `redis-cluster` in a cluster.
//! - `streamable-http`: `AsyncTools::http_layer`, which goes around rmcp's
//!   streamable HTTP service.
//! - `webhook`: the module of that name, which tells others of the end of tasks.
//! - `dashboard`: the module of that name, a web page for operators.
//! - `opentelemetry`: attempts belong to the OpenTelemetry trace of their caller.
//! - `client`: the module of that name, which calls tasks on a server.
//! - `testing`: the module of that name.
//! - `conformance`: `store::conformance`, a test suite for stores.
#![cfg_attr(docsrs, feature(doc_cfg))]

/// Turns an async function into a family of MCP tools, or [methods](#on-methods)
/// of a struct into one each.
///
/// ```
/// use std::path::PathBuf;
///
/// use async_tool::{TaskContext, async_tool};
///
/// # pub struct Workspace;
/// # #[derive(serde::Serialize, schemars::JsonSchema)]
/// # pub struct BuildReport { binaries: Vec<String> }
/// /// Compile a Cargo project and package its binaries.
/// #[async_tool(timeout = "15m", concurrency = 2)]
/// async fn build(
///     /// Directory that holds Cargo.toml.
///     project: PathBuf,
///     /// Compile with optimisations.
///     #[serde(default)]
///     release: bool,
///     task: &TaskContext,
///     workspace: &Workspace,
/// ) -> Result<BuildReport, std::io::Error> {
///     // …
/// #   let _ = (project, release, task, workspace);
/// #   Ok(BuildReport { binaries: Vec::new() })
/// }
/// ```
///
/// publishes `build_initiate`, `build_status` and `build_cancel`. The function
/// stays what it was, and can be called.
///
/// # Parameters
///
/// **What is owned comes from the caller; what is borrowed comes from the
/// server.**
///
/// An owned parameter is an argument of the initiate tool. Its type implements
/// `Deserialize`, `Serialize` and `JsonSchema`; its doc comment is what models
/// read; `#[serde(...)]` and `#[schemars(...)]` on it do what they do on the
/// field of a struct. An `Option<T>` may be left out, and so may what has
/// `#[serde(default)]`; a property that no parameter names is refused.
///
/// ```
/// # use async_tool::async_tool;
/// /// Resize a picture.
/// #[async_tool]
/// async fn resize(
///     /// Where the picture is.
///     source: String,
///     /// Width in pixels.
///     #[schemars(range(min = 1, max = 10_000))]
///     width: u32,
///     /// The picture's own proportions, if left out.
///     height: Option<u32>,
///     /// What to do with what does not fit.
///     #[serde(rename = "fit", default = "crop")]
///     fitting: String,
/// ) -> Result<String, async_tool::ToolError> {
///     // …
/// #   let _ = (source, width, height);
/// #   Ok(fitting)
/// }
///
/// fn crop() -> String {
///     "crop".to_owned()
/// }
/// ```
///
/// A parameter `&T` is lent by the server for the time of one attempt. The
/// task's own are [`&TaskContext`](crate::TaskContext),
/// [`&Progress`](crate::Progress) and tokio-util's `&CancellationToken`; any
/// other `T` is what the application gave by
/// [`.state(value)`](crate::AsyncToolsBuilder::state), found by its type. A
/// server for which a type was forgotten does not start: `build()` names the
/// tool and the type.
///
/// # Result
///
/// The function returns `T` or `Result<T, E>`, also by an alias such as
/// `anyhow::Result<T>`. `T` implements `Serialize` and `JsonSchema`. `E`
/// converts into `Box<dyn Error + Send + Sync>`: every error type does, and
/// `anyhow::Error` and `String` do too. [`ToolError`] also
/// sets what programs read of an error.
///
/// # Options
///
/// Durations are strings such as `"90s"`, `"15m"` or `"1h30m"`.
///
/// | option | default | meaning |
/// | --- | --- | --- |
/// | `name = "..."` | the function's | the tool's name; the family's names begin with it |
/// | `title = "..."` | none | a name for people |
/// | `description = "..."` | the doc comment | what the tool does, for models |
/// | `timeout = "..."` | none | how long one attempt may run |
/// | `max_wait = "..."` | none | upper bound, and default, of the caller's `max_wait_seconds` |
/// | `retention = "..."` | the server's | how long a finished task stays readable |
/// | `concurrency = 4` | the server's | how many tasks of the tool one worker runs at once |
/// | `fleet_concurrency = 4` | none | how many tasks of the tool all workers of a namespace run at once, together |
/// | `queue = 100` | the server's | how many tasks of the tool may wait |
/// | `inline = "..."` | none | how long initiate waits for the end before it answers; fast work then costs one call |
/// | `cancel_grace = "..."` | `"10s"` | how long a task that was asked to stop may go on before it is dropped |
/// | `on_interrupt = "..."` | `"fail"` | what becomes of a task whose worker died or shut down meanwhile: `"fail"`, or `"retry"`: it is [started again](crate::OnInterrupt) |
/// | `retry(attempts = 5, backoff = "...", max_backoff = "...")` | none; `"1s"`, `"1m"` | how often a task is started at most, all starts counted, whose function returned an [error that may pass](crate::Retry), and the pause before, which doubles each time |
/// | `dedupe = "arguments"` | none | calls with the same arguments, of one principal, share a task until it ends |
/// | `concurrency_key(group = "...", args(host, project), limit = 1)` | none; the tool's name, 1 | how many tasks run at once that have the same values of these arguments, over [all tools of the group](crate::ConcurrencyKey) and all workers; the others wait |
/// | `circuit(failure_rate = 0.5, window = "...", cool_down = "...", minimum = 10)` | none; 10 | when so many of the last attempts failed, at least `minimum` of them within `window`, calls are refused as `circuit_open` until an attempt succeeds that is tried after `cool_down`: a [circuit breaker](crate::Circuit) |
/// | `interactive` | off | the tool may ask its caller questions, by [`TaskContext::ask`]: the family has one more tool, which answers them |
/// | `surface(family, shared, native)` | the server's | through what the tool can be called: one [`Surface`] or several |
/// | `undeclared = "..."` | `"wait"` | what a call of the native surface comes to whose client does not speak the protocol's tasks: `"wait"` for the end, or `"reject"` |
/// | `names(initiate = "...", status = "...", cancel = "...", respond = "...")` | `NAME_initiate` and so on | names of the family's tools |
/// | `annotations(read_only, destructive, idempotent, open_world)` | none | hints about what the tool does to the world; each may be `= false` |
/// | `input = Name` | `BuildInput` for `build` | name of the generated struct that holds the arguments |
/// | `tool = Name` | `BuildTool` for `build` | name of the generated type that implements [`AsyncTool`] |
/// | `crate = ::path` | `::async_tool` | where this crate is found, if it is not a dependency of that name |
///
/// # What is generated
///
/// Beside the function, and with its visibility:
///
/// - `BuildInput`, a struct of the owned parameters, for clients written in
///   Rust and for tests.
/// - `BuildTool`, a unit struct that implements
///   [`AsyncTool`], to register the tool by hand:
///
/// ```
/// use async_tool::{Registry, async_tool};
///
/// /// Add two numbers.
/// #[async_tool]
/// async fn add(left: i64, right: i64) -> i64 {
///     left.saturating_add(right)
/// }
///
/// let registry = Registry::new().with(AddTool);
/// assert_eq!(registry.names().collect::<Vec<_>>(), ["add"]);
///
/// let arguments = AddInput { left: 1, right: 2 };
/// assert_eq!(serde_json::to_value(arguments)?, serde_json::json!({ "left": 1, "right": 2 }));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Unless the feature `inventory` is off, the tool also registers itself, and
/// a server finds it. A tool in a crate that the program never names is not
/// linked and not found; `use that_crate as _;` links it.
///
/// Attributes of the function stay on the function; `#[cfg]` and `#[allow]`
/// hold for what is generated too.
///
/// # On methods
///
/// A server may keep its tools as methods of a struct. The attribute is then on
/// the `impl` block, and again, with its options, on each method that is a tool:
///
/// ```standalone_crate
/// use std::path::{Path, PathBuf};
///
/// use async_tool::{AsyncTools, TaskContext, async_tool};
///
/// struct Server {
///     root: PathBuf,
/// }
///
/// #[async_tool]
/// impl Server {
///     /// Compile a Cargo project.
///     #[async_tool(timeout = "15m", concurrency = 2)]
///     async fn build(
///         &self,
///         /// Directory that holds Cargo.toml, in the server's root.
///         project: PathBuf,
///         task: &TaskContext,
///     ) -> Result<String, std::io::Error> {
///         let project = self.resolve(&project);
///         // …
/// #       let _ = task;
/// #       Ok(project.display().to_string())
///     }
///
///     /// Remove what was compiled.
///     #[async_tool]
///     async fn clean(&self) {}
///
///     // Not a tool.
///     fn resolve(&self, project: &Path) -> PathBuf {
///         self.root.join(project)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), async_tool::BuildError> {
/// let server = Server { root: "/srv".into() };
/// let tools = AsyncTools::builder().state(server).build().await?;
/// # let _ = tools;
/// # Ok(())
/// # }
/// ```
///
/// `&self` is lent by the server like any other `&T`: it is the `Server` given
/// by [`.state(value)`](crate::AsyncToolsBuilder::state), and `build()` refuses
/// to start without one. `self: &Arc<Self>` asks for an `Arc<Server>` instead,
/// for methods that spawn. A function without `self` borrows no `Server`. In
/// the types of parameters and results, `Self` is the struct.
///
/// All else is as it is for functions. What is generated stands beside the
/// `impl` block and has the method's visibility, so a method that is `pub`
/// must not return a type that is not; methods of the same name in several
/// blocks of a module need `input` and `tool`. The only option on the block is
/// `crate`, which holds for all of its methods. Neither the block nor its
/// methods can be generic or a trait's, and on the methods the attribute must go
/// by its own name, `#[async_tool]` or a path that ends in it.
pub use async_tool_macros::async_tool;
#[doc(inline)]
pub use async_tool_runtime::*;

#[doc(hidden)]
pub use async_tool_runtime::__private;

/// The README's code is compiled.
#[cfg(all(doctest, feature = "webhook"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// So is that of the guide for authors of tools.
#[cfg(doctest)]
#[doc = include_str!("../docs/authors.md")]
struct Authors;

/// And that of the guide for stores.
#[cfg(all(doctest, feature = "conformance"))]
#[doc = include_str!("../docs/stores.md")]
struct Stores;

/// So is that of the page about metrics and traces.
#[cfg(doctest)]
#[doc = include_str!("../docs/observability.md")]
struct Observability;

/// And so is that for many replicas.
#[cfg(all(doctest, feature = "streamable-http"))]
#[doc = include_str!("../docs/replicas.md")]
struct Replicas;

/// And that for webhooks.
#[cfg(all(doctest, feature = "webhook"))]
#[doc = include_str!("../docs/webhooks.md")]
struct WebhookGuide;

/// And that for the dashboard.
#[cfg(all(doctest, feature = "dashboard"))]
#[doc = include_str!("../docs/dashboard.md")]
struct Dashboard;
