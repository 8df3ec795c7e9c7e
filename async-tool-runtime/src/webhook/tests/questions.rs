//! Tasks that ask.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{AsyncTool, BoxError, Call, Descriptor};

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Ask {
    /// How long it goes on after the answer.
    seconds: u64,
}

#[derive(Deserialize, JsonSchema)]
struct Approval {
    approved: bool,
}

/// Asks, and goes on for a while.
pub(super) struct AskTool;

impl AsyncTool for AskTool {
    type Input = Ask;
    type Output = bool;

    fn descriptor(&self) -> &'static Descriptor {
        static ASK: Descriptor = Descriptor::new("ask").interactive();
        &ASK
    }

    async fn run(&self, input: Ask, call: Call<'_>) -> Result<bool, BoxError> {
        let approval: Approval = call.context().ask("Go on?").await?;
        tokio::time::sleep(Duration::from_secs(input.seconds)).await;
        Ok(approval.approved)
    }
}

async fn answer(server: &TestServer, asked: &Value) {
    let arguments = json!({
        "task_id": asked["data"]["task_id"],
        "key": asked["data"]["questions"][0]["key"],
        "action": "accept",
        "content": {"approved": true},
    });
    let answered = server.call("ask_respond", arguments).await;
    assert!(!answered.is_error, "{}", answered.text);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_told_and_then_the_end() {
    let wire = Wire::always(Reply::Status(200));
    let server = TestServer::start(wire.builder(one_endpoint())).await;
    let task = server.call("ask_initiate", json!({"seconds": 1})).await;
    let asked = wire.sent(1).await.remove(0);
    assert_eq!(asked.body["type"], "task.input_required");
    assert_eq!(asked.body["data"]["status"], "input_required");
    assert_eq!(asked.body["data"]["questions"][0]["message"], "Go on?");
    assert_eq!(asked.id, format!("msg_{}_1_ops", task.id()));
    answer(&server, &asked.body).await;
    let end = wire.sent(2).await.remove(1);
    assert_eq!(end.body["type"], "task.completed");
    assert_eq!(end.id, format!("msg_{}_2_ops", task.id()));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_was_answered_is_not_told_again() {
    let wire = Wire::always(Reply::Status(500));
    let (store, namespace) = store().await;
    let server = TestServer::start(wire.builder(one_endpoint()).store(store)).await;
    // It works for an hour, through some of the times at which it would be told.
    let task = server.call("ask_initiate", json!({"seconds": 3600})).await;
    let asked = wire.sent(2).await.remove(0);
    answer(&server, &asked.body).await;
    settled(&namespace, task.id()).await;
    let status = server
        .call("ask_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(status["status"], "working", "{}", status.text);
    server.finish("ask", task.id()).await;
    let posts = wire.sent(3).await;
    assert_eq!(posts[1].body["type"], "task.input_required");
    assert_eq!(posts[2].body["type"], "task.completed");
    assert_eq!(posts[2].id, format!("msg_{}_2_ops", task.id()));
}
