//! What an expansion of `#[async_tool]` does at run time: from the attribute
//! to what a client sees. In which surroundings it compiles is tried in
//! `tests/ui`.
#![warn(clippy::pedantic)]
#![allow(
    clippy::unused_async,
    reason = "said of the tools themselves, which have nothing to wait for"
)]

mod arguments;
mod descriptor;
mod methods;
mod registration;
mod results;
mod state;
mod surfaces;

use async_tool::testing::TestServer;
use async_tool::{AsyncTool, AsyncTools, Registry};
use serde_json::Value;

/// A server that has this tool alone.
async fn serve(tool: impl AsyncTool) -> TestServer {
    TestServer::start(AsyncTools::builder().registry(Registry::new().with(tool))).await
}

/// Calls a tool and waits for the end of its task.
async fn call(tool: impl AsyncTool, arguments: Value) -> Value {
    let name = tool.descriptor().name;
    let server = serve(tool).await;
    let task = server.call(&format!("{name}_initiate"), arguments).await;
    server.finish(name, task.id()).await.structure
}
