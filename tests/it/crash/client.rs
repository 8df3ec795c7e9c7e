//! Clients of server processes that may die at any moment.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use async_tool::testing::Answer;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, Peer, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a call may take beyond the time that it is asked to wait, on a
/// machine that has a lot to do.
const ANSWER: Duration = Duration::from_secs(20);

/// The connection broke before there was an answer.
#[derive(Debug)]
pub(crate) struct Broken;

/// A connected client.
pub(crate) struct Client {
    peer: Peer<RoleClient>,
    /// Fires when the connection has ended. (Very rarely, rmcp's client leaves
    /// a call without an answer that is made while its connection breaks.)
    broken: CancellationToken,
    /// Ends the connection.
    _connection: DropGuard,
}

/// Where a server is, and how to talk to it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// MCP over a bare connection.
    Stream(SocketAddr),
    /// Streamable HTTP, in the protocol's version of 2025.
    Http(SocketAddr),
    /// Streamable HTTP, in the version of 2026-07-28.
    Modern(SocketAddr),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Stream(address)
    }
}

impl Target {
    pub(crate) async fn connect(self) -> Result<RunningService<RoleClient, ()>, Broken> {
        let http =
            |address| StreamableHttpClientTransport::from_uri(format!("http://{address}/mcp"));
        match self {
            Self::Stream(address) => {
                let stream = TcpStream::connect(address).await.map_err(|_| Broken)?;
                ().serve(stream).await.map_err(|_| Broken)
            }
            Self::Http(address) => ().serve(http(address)).await.map_err(|_| Broken),
            Self::Modern(address) => {
                let modern = ClientLifecycleMode::Discover {
                    preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                };
                ().serve_with_lifecycle(http(address), modern)
                    .await
                    .map_err(|_| Broken)
            }
        }
    }
}

impl Client {
    pub(crate) async fn connect(target: impl Into<Target>) -> Result<Self, Broken> {
        let connected = target.into().connect();
        let service = timeout(ANSWER, connected)
            .await
            .expect("connects or breaks in bounded time")?;
        let (broken, end) = (CancellationToken::new(), CancellationToken::new());
        let client = Self {
            peer: service.peer().clone(),
            broken: broken.clone(),
            _connection: end.clone().drop_guard(),
        };
        tokio::spawn(async move {
            let connection = service.cancellation_token();
            let mut ended = pin!(service.waiting());
            tokio::select! {
                _ = &mut ended => {}
                () = end.cancelled() => {
                    connection.cancel();
                    let _ = ended.await;
                }
            }
            broken.cancel();
        });
        Ok(client)
    }

    /// Calls a tool.
    ///
    /// # Panics
    ///
    /// If there is neither an answer nor an end of the connection.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Result<Answer, Broken> {
        let wait = arguments["wait_seconds"].as_f64().unwrap_or(0.0);
        let object = arguments.as_object().expect("an object").clone();
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(object);
        let bound = ANSWER + Duration::from_secs_f64(wait);
        let answered = self.broken.run_until_cancelled(self.peer.call_tool(params));
        match timeout(bound, answered).await {
            Ok(Some(Ok(answer))) => Ok(answer.into()),
            Ok(_) => Err(Broken),
            Err(_) => panic!("{tool} got no answer within {bound:?}: {arguments}"),
        }
    }

    /// [`call`](Self::call), of a server that nobody kills.
    pub(crate) async fn ask(&self, tool: &str, arguments: Value) -> Answer {
        let answered = self.call(tool, arguments).await;
        answered.unwrap_or_else(|Broken| panic!("{tool}: the connection broke"))
    }

    /// A snapshot of a task.
    pub(crate) async fn status(&self, tool: &str, id: &str) -> Answer {
        let arguments = json!({"task_id": id, "log_lines": 50});
        self.ask(&format!("{tool}_status"), arguments).await
    }

    /// Waits for the end of a task.
    ///
    /// # Panics
    ///
    /// If it has not ended by `end`.
    pub(crate) async fn finish(&self, tool: &str, id: &str, end: Instant) -> Answer {
        loop {
            let arguments = json!({"task_id": id, "wait_seconds": 1, "log_lines": 50});
            let answer = self.ask(&format!("{tool}_status"), arguments).await;
            if answer["done"] == true {
                return answer;
            }
            assert!(Instant::now() < end, "{id} has not ended: {}", answer.text);
        }
    }
}
