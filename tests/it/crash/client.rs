//! Clients of server processes that may die at any moment.

use std::net::SocketAddr;
use std::time::Duration;

use async_tool::testing::Answer;
use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How long a call may take beyond the time that it is asked to wait, on a
/// machine that has a lot to do.
const ANSWER: Duration = Duration::from_secs(20);

/// The connection broke before there was an answer.
#[derive(Debug)]
pub(crate) struct Broken;

/// A connected client.
pub(crate) struct Client {
    service: RunningService<RoleClient, ()>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Broken> {
        let connected = async {
            let stream = TcpStream::connect(address).await.map_err(|_| Broken)?;
            ().serve(stream).await.map_err(|_| Broken)
        };
        let service = timeout(ANSWER, connected)
            .await
            .expect("connects or breaks in bounded time")?;
        Ok(Self { service })
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
        let Ok(answered) = timeout(bound, self.service.call_tool(params)).await else {
            panic!("{tool} got no answer within {bound:?}: {arguments}");
        };
        answered.map(Answer::from).map_err(|_| Broken)
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
