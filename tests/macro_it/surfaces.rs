//! What a tool publishes, and what it asks.

use async_tool::{AskError, AsyncTool, TaskContext, async_tool};
use serde_json::json;

use crate::serve;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Approval {
    approved: bool,
}

#[async_tool(interactive, on_interrupt = "retry", names(respond = "approve"))]
async fn switch(task: &TaskContext) -> Result<bool, AskError> {
    let answer: Approval = task.ask("Switch?").await?;
    Ok(answer.approved)
}

#[async_tool(surface(native, shared), undeclared = "reject")]
async fn native_and_shared() {}

#[async_tool(surface(family))]
async fn family_alone() {}

async fn published(tool: impl AsyncTool) -> Vec<String> {
    let server = serve(tool).await;
    let tools = server.peer().list_all_tools().await.expect("a list");
    tools.iter().map(|tool| tool.name.to_string()).collect()
}

#[tokio::test]
async fn a_tool_publishes_what_it_says() {
    assert_eq!(
        published(SwitchTool).await,
        [
            "approve",
            "switch_cancel",
            "switch_initiate",
            "switch_status"
        ]
    );
    assert_eq!(
        published(NativeAndSharedTool).await,
        [
            "native_and_shared",
            "native_and_shared_initiate",
            "task_cancel",
            "task_status"
        ]
    );
    assert_eq!(published(FamilyAloneTool).await.len(), 3);
}

#[tokio::test]
async fn an_interactive_tool_may_ask() {
    let server = serve(SwitchTool).await;
    let task = server.call("switch_initiate", json!({})).await;
    let status = server
        .call(
            "switch_status",
            json!({ "task_id": task.id(), "wait_seconds": 10 }),
        )
        .await;
    assert_eq!(status["status"], "input_required", "{status:?}");
    let answer = json!({
        "task_id": task.id(),
        "key": status["questions"][0]["key"],
        "action": "accept",
        "content": { "approved": true },
    });
    let answered = server.call("approve", answer).await;
    assert!(!answered.is_error, "{answered:?}");
    let end = server.finish("switch", task.id()).await;
    assert_eq!(end["result"], true);
}
