//! The other side: calls tasks on a server, from Rust.
//!
//! A [`TaskClient`] stands on any rmcp client. It starts tasks, waits for them
//! as their server likes it, shows their progress, answers their questions, and
//! goes on after lost answers, broken connections and restarts of the server.
//!
//! ```
//! use async_tool_runtime::client::{CallError, TaskClient};
//! # use async_tool_runtime::{AsyncTool, AsyncTools, BoxError, Call, Descriptor, Registry};
//! # use async_tool_runtime::testing::TestServer;
//! # #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! # struct BuildInput { project: String }
//! # #[derive(Default)]
//! # struct BuildTool;
//! # impl AsyncTool for BuildTool {
//! #     type Input = BuildInput;
//! #     type Output = u32;
//! #     fn descriptor(&self) -> &'static Descriptor {
//! #         static BUILD: Descriptor = Descriptor::new("build");
//! #         &BUILD
//! #     }
//! #     async fn run(&self, _: BuildInput, _: Call<'_>) -> Result<u32, BoxError> { Ok(3) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), CallError> {
//! # let builder = AsyncTools::builder().registry(Registry::new().with(BuildTool));
//! # let server = TestServer::start(builder).await;
//! # let peer = server.peer().clone();
//! let tasks = TaskClient::new(peer); // an rmcp `Peer<RoleClient>`, or what `serve` gave
//!
//! // With the types that `#[async_tool]` generated from `fn build`:
//! let input = BuildInput { project: "web".to_owned() };
//! let binaries = tasks.call::<BuildTool>(input).await?;
//! # assert_eq!(binaries, 3);
//!
//! // By name, with progress:
//! let arguments = serde_json::json!({ "project": "web" });
//! let mut task = tasks.call_named("build", arguments).start().await?;
//! while let Some(snapshot) = task.next().await {
//!     let snapshot = snapshot?;
//!     println!("{} {}", snapshot.status, snapshot.message.unwrap_or_default());
//! }
//! let binaries = task.await?;
//! # assert_eq!(binaries, 3);
//! # Ok(())
//! # }
//! ```

mod attempt;
mod call;
mod error;
mod family;
mod handle;
mod input;
mod link;
mod native;
mod route;
mod snapshot;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use self::link::Link;
use self::route::ToolNames;
use crate::error::BoxError;
use crate::tool::AsyncTool;

pub use self::call::TaskCall;
pub use self::error::{CallError, Failure};
pub use self::handle::TaskHandle;
pub use self::input::{Answer, Question};
pub use self::link::Connection;
pub use self::snapshot::Snapshot;
#[doc(no_inline)]
pub use crate::store::Status;

/// Calls the tools of a server as tasks.
///
/// It uses the protocol's own tasks where the server publishes the tool for
/// them and the connection speaks protocol 2026-07-28 or later, and the tool's
/// family (`NAME_initiate`, `NAME_status`, …) otherwise.
///
/// # What it survives
///
/// A request whose answer does not come, or that the server is too busy for, is
/// made again, after a pause that grows, as long as its
/// [patience](Self::with_patience) lasts; the idempotency key of each call makes
/// sure that there is one task of it. A tool that takes no key, as one of a
/// server that knows nothing of this library, is not called again.
///
/// A connection that breaks is replaced, if the client was made by
/// [`connecting`](Self::connecting). A server that restarts has its tasks if it
/// keeps them in a durable store.
///
/// Nothing waits without a limit for an answer, and no dropped future cancels a
/// task. How long tasks may take, on the other hand, is their server's business
/// (they all have a deadline), unless there is a
/// [time limit](Self::with_time_limit).
///
/// Cloning gives another handle to the same connection; each has options of its
/// own.
#[derive(Clone)]
pub struct TaskClient {
    link: Arc<Link>,
    options: Options,
}

#[derive(Debug, Clone)]
struct Options {
    limit: Option<Duration>,
    patience: Duration,
    first_pause: Duration,
    longest_pause: Duration,
    answer: Duration,
    wait: Duration,
    refresh: Option<Duration>,
    prefers_family: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit: None,
            patience: Duration::from_secs(120),
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(10),
            answer: Duration::from_secs(15),
            wait: Duration::from_secs(45),
            refresh: None,
            prefers_family: false,
        }
    }
}

impl TaskClient {
    /// A client on this connection, and no other: when it breaks, calls end
    /// with [`CallError::Disconnected`]. Their tasks go on, and a client on
    /// another connection may [`resume`](Self::resume) them.
    pub fn new(connection: impl Into<Connection>) -> Self {
        Self::on(Link::fixed(connection.into()))
    }

    /// A client that connects when it needs to, and again when the connection
    /// breaks. The connection that a new one replaces is closed.
    ///
    /// ```
    /// # use async_tool_runtime::{BoxError, client::TaskClient};
    /// use rmcp::ServiceExt;
    /// # fn client(address: std::net::SocketAddr) -> TaskClient {
    ///
    /// TaskClient::connecting(move || async move {
    ///     let stream = tokio::net::TcpStream::connect(address).await?;
    ///     Ok::<_, BoxError>(().serve(stream).await?)
    /// })
    /// # }
    /// ```
    pub fn connecting<F, C, E>(connect: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<C, E>> + Send + 'static,
        C: Into<Connection>,
        E: Into<BoxError>,
    {
        Self::on(Link::connecting(Box::new(move || {
            let connected = connect();
            Box::pin(async move { connected.await.map(C::into).map_err(E::into) })
        })))
    }

    fn on(link: Link) -> Self {
        Self {
            link: Arc::new(link),
            options: Options::default(),
        }
    }

    /// Sets how long a call, or a task that is resumed, is waited for in all;
    /// after that it ends with [`CallError::TimedOut`], and its task goes on.
    /// None, unless said otherwise.
    #[must_use]
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.options.limit = Some(limit);
        self
    }

    /// Sets how long, without a break, the server may be out of reach, give no
    /// answers, or be too busy, before a call gives up. 2 minutes, unless said
    /// otherwise.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.options.patience = patience;
        self
    }

    /// Sets the pause before a request is repeated, which doubles each time, and
    /// its upper limit. 250 ms and 10 s, unless said otherwise; of each, up to
    /// the half is left to chance.
    #[must_use]
    pub fn with_backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.options.first_pause = first;
        self.options.longest_pause = longest;
        self
    }

    /// Sets how long an answer may take beyond the time that the server was
    /// asked to wait, and how long it may take to connect. 15 s, unless said
    /// otherwise.
    #[must_use]
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.options.answer = timeout;
        self
    }

    /// Sets how long the server is asked to wait for the end of a task in one
    /// request; it waits less if it does not allow as much. 45 s, unless said
    /// otherwise: what stands between client and server often ends requests
    /// that take a minute.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.options.wait = wait;
        self
    }

    /// Sets how often progress is asked for while somebody reads it; not more
    /// often than every 50 ms. As often as the server would like, unless said
    /// otherwise.
    #[must_use]
    pub fn with_refresh(mut self, refresh: Duration) -> Self {
        self.options.refresh = Some(refresh);
        self
    }

    /// Uses the family of a tool even where the protocol's own tasks could be
    /// used. A family shows more: counts, steps and ETA as numbers, and the end
    /// at once, since its status tool waits for it.
    #[must_use]
    pub fn prefer_family(mut self) -> Self {
        self.options.prefers_family = true;
        self
    }

    /// Calls a tool by its type, the one that `#[async_tool]` generates beside
    /// the function. Await it for the result.
    ///
    /// # Errors
    ///
    /// [`CallError`], when it is awaited.
    pub fn call<T: AsyncTool + Default>(&self, input: T::Input) -> TaskCall<T::Output> {
        let names = ToolNames::from(T::default().descriptor());
        TaskCall::new(self.clone(), names, serde_json::to_value(input))
    }

    /// Calls a tool by its name, which is that of its family without
    /// `_initiate`; the arguments must be an object. Await it for the result.
    ///
    /// # Errors
    ///
    /// [`CallError`], when it is awaited.
    pub fn call_named(&self, tool: &str, arguments: Value) -> TaskCall<Value> {
        TaskCall::new(self.clone(), ToolNames::from(tool), Ok(arguments))
    }

    /// A task that was started before, perhaps by another process. Nothing is
    /// asked of the server until the handle is used.
    pub fn resume<T: AsyncTool + Default>(
        &self,
        task_id: impl Into<String>,
    ) -> TaskHandle<T::Output> {
        self.resumed(ToolNames::from(T::default().descriptor()), task_id.into())
    }

    /// [`resume`](Self::resume), by the name of the tool.
    pub fn resume_named(&self, tool: &str, task_id: impl Into<String>) -> TaskHandle<Value> {
        self.resumed(ToolNames::from(tool), task_id.into())
    }

    /// Closes the connection, for all clones of this client, and waits until it
    /// is closed; a server that runs as a child process has ended then. A client
    /// that was made by [`connecting`](Self::connecting) connects again when it
    /// is used again.
    ///
    /// To drop the client closes the connection too, without waiting for it. A
    /// connection that is kept elsewhere (a [`Peer`](rmcp::service::Peer)) is
    /// left alone.
    pub async fn close(&self) {
        self.link.close().await;
    }

    fn resumed<O>(&self, names: ToolNames, task_id: String) -> TaskHandle<O> {
        let deadline = self.deadline();
        TaskHandle::new(self.clone(), Arc::new(names), Some(task_id), deadline)
    }

    /// When the time limit of what begins now is over.
    fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.options.limit?)
    }
}

impl fmt::Debug for TaskClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskClient")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
