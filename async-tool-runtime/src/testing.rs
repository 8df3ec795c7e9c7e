//! A client and a server in one process, for tests of tools.
//!
//! The two speak real MCP over a pipe in memory. The server's clocks follow
//! tokio's, so under `#[tokio::test(start_paused = true)]` hours pass in no
//! time:
//!
//! ```
//! use async_tool_runtime::{AsyncTools, testing::TestServer};
//! # use async_tool_runtime::{AsyncTool, BoxError, Call, Descriptor, Registry};
//! # #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! # struct Nothing {}
//! # struct NapTool;
//! # impl AsyncTool for NapTool {
//! #     type Input = Nothing;
//! #     type Output = &'static str;
//! #     fn descriptor(&self) -> &'static Descriptor {
//! #         static NAP: Descriptor = Descriptor::new("nap");
//! #         &NAP
//! #     }
//! #     async fn run(&self, _: Nothing, _: Call<'_>) -> Result<&'static str, BoxError> {
//! #         tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
//! #         Ok("rested")
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let builder = AsyncTools::builder().registry(Registry::new().with(NapTool));
//! let server = TestServer::start(builder).await;
//! let task = server.call("nap_initiate", serde_json::json!({})).await;
//! let end = server.finish("nap", task.id()).await;
//! assert_eq!(end["result"], "rested");
//! # }
//! ```

use std::ops::Index;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig,
    ClientRequest, Implementation, ProgressNotificationParam, ServerResult,
};
use rmcp::service::{NotificationContext, Peer, PeerRequestOptions, RunningService};
use rmcp::{ClientHandler, RoleClient, ServiceExt};
use serde_json::{Map, Value, json};

use crate::builder::AsyncToolsBuilder;
use crate::engine::Clock;
use crate::server::AsyncTools;

/// How much the pipe between the two holds, in bytes.
const PIPE: usize = 64 * 1024;

/// A server with a client connected to it. Both end when it is dropped.
#[derive(Debug)]
pub struct TestServer {
    tools: AsyncTools,
    client: RunningService<RoleClient, TestClient>,
}

/// Keeps the progress notifications that arrive.
#[derive(Debug, Clone)]
struct TestClient {
    name: String,
    progress: Arc<Mutex<Vec<ProgressNotificationParam>>>,
}

impl ClientHandler for TestClient {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new(&self.name, "0"),
        )
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(params);
    }
}

/// The answer to a tool call.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The call was refused.
    pub is_error: bool,
    /// The answer's structure; null if there was none.
    pub structure: Value,
    /// The answer's text.
    pub text: String,
}

impl Answer {
    /// The answer's `task_id`.
    ///
    /// # Panics
    ///
    /// If it has none: the call was refused.
    pub fn id(&self) -> &str {
        self.structure["task_id"]
            .as_str()
            .unwrap_or_else(|| panic!("no task_id in {}", self.text))
    }

    /// The code of the error, of the task or of the call.
    pub fn error_code(&self) -> Option<&str> {
        self.structure["error"]["code"].as_str()
    }
}

impl Index<&str> for Answer {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        &self.structure[key]
    }
}

impl From<CallToolResult> for Answer {
    fn from(result: CallToolResult) -> Self {
        let text = result
            .content
            .iter()
            .filter_map(|block| block.as_text().map(|text| text.text.as_str()))
            .collect();
        Self {
            is_error: result.is_error == Some(true),
            structure: result.structured_content.unwrap_or_default(),
            text,
        }
    }
}

impl TestServer {
    /// Builds the server on tokio's clock and connects a client.
    ///
    /// # Panics
    ///
    /// If the server cannot be built, with all that is wrong.
    pub async fn start(builder: AsyncToolsBuilder) -> Self {
        let tools = builder
            .clock(Clock::tokio())
            .build()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Self::connect(tools).await
    }

    /// Connects a client to a server that runs already.
    ///
    /// # Panics
    ///
    /// If the handshake fails.
    pub async fn connect(tools: AsyncTools) -> Self {
        Self::connect_as(tools, "test").await
    }

    /// Connects a client of this name to a server that runs already.
    ///
    /// # Panics
    ///
    /// If the handshake fails.
    pub async fn connect_as(tools: AsyncTools, name: &str) -> Self {
        let (near, far) = tokio::io::duplex(PIPE);
        let server = tools.clone();
        tokio::spawn(async move {
            let (input, output) = tokio::io::split(near);
            let transport = server.transport(input, output);
            if let Ok(service) = server.serve(transport).await {
                let _ = service.waiting().await;
            }
        });
        let client = TestClient {
            name: name.to_owned(),
            progress: Arc::default(),
        };
        let client = client
            .serve(far)
            .await
            .unwrap_or_else(|error| panic!("the handshake failed: {error}"));
        Self { tools, client }
    }

    /// The server.
    pub fn tools(&self) -> &AsyncTools {
        &self.tools
    }

    /// The client's end, for everything beyond tool calls.
    pub fn peer(&self) -> &Peer<RoleClient> {
        self.client.peer()
    }

    /// Calls a tool. `arguments` must be an object.
    ///
    /// # Panics
    ///
    /// If the answer is a protocol error.
    pub async fn call(&self, name: &str, arguments: Value) -> Answer {
        self.peer()
            .call_tool(params(name, arguments))
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .into()
    }

    /// Calls a tool with a progress token, and returns the progress
    /// notifications as well.
    ///
    /// # Panics
    ///
    /// If the answer is a protocol error.
    pub async fn call_with_progress(
        &self,
        name: &str,
        arguments: Value,
    ) -> (Answer, Vec<ProgressNotificationParam>) {
        let seen = &self.client.service().progress;
        let clear = || seen.lock().unwrap_or_else(PoisonError::into_inner);
        clear().clear();
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params(name, arguments)));
        // rmcp's client gives every request a progress token.
        let sent = self
            .peer()
            .send_cancellable_request(request, PeerRequestOptions::no_options())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let answer = match sent.await_response().await {
            Ok(ServerResult::CallToolResult(result)) => result.into(),
            Ok(other) => panic!("{name}: unexpected answer {other:?}"),
            Err(error) => panic!("{name}: {error}"),
        };
        (answer, clear().clone())
    }

    /// Waits for the end of a task of `tool`, which has the default names.
    ///
    /// # Panics
    ///
    /// If the task cannot be read, or asks something.
    pub async fn finish(&self, tool: &str, task_id: &str) -> Answer {
        loop {
            let arguments = json!({ "task_id": task_id, "wait_seconds": 50 });
            let answer = self.call(&format!("{tool}_status"), arguments).await;
            assert!(!answer.is_error, "{}", answer.text);
            let asks = answer["status"] == "input_required";
            assert!(!asks, "it waits for an answer: {}", answer.text);
            if answer["done"] == true {
                return answer;
            }
        }
    }
}

fn params(name: &str, arguments: Value) -> CallToolRequestParams {
    let arguments: Map<String, Value> = match arguments {
        Value::Object(arguments) => arguments,
        other => panic!("the arguments must be an object, not {other}"),
    };
    CallToolRequestParams::new(name.to_owned()).with_arguments(arguments)
}
