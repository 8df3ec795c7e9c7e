//! Bodies are bounded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{AsyncTool, BoxError, Call, Descriptor, ToolError};

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Large {
    /// How large the result is, or the details of the error.
    bytes: usize,
    fail: bool,
}

pub(super) struct LargeTool;

impl AsyncTool for LargeTool {
    type Input = Large;
    type Output = String;

    fn descriptor(&self) -> &'static Descriptor {
        static LARGE: Descriptor = Descriptor::new("large");
        &LARGE
    }

    async fn run(&self, input: Large, _: Call<'_>) -> Result<String, BoxError> {
        let text = "x".repeat(input.bytes);
        if input.fail {
            return Err(ToolError::new("too bad").with_details(text.into()).into());
        }
        Ok(text)
    }
}

/// What is told of a task with an end of this size.
async fn told(bytes: usize, fail: bool) -> Post {
    let wire = Wire::always(Reply::Status(200));
    let server = TestServer::start(wire.builder(one_endpoint().include_result(true))).await;
    let task = server.call("large_initiate", json!({"bytes": bytes, "fail": fail}));
    let task = task.await;
    server.finish("large", task.id()).await;
    let post = wire.sent(1).await.remove(0);
    assert!(post.text.len() <= 256 * 1024, "{}", post.text.len());
    assert_eq!(post.body["data"]["task_id"], task.id());
    post
}

#[tokio::test(start_paused = true)]
async fn a_large_result_is_left_out() {
    let whole = told(200 * 1024, false).await;
    assert_eq!(
        whole.body["data"]["result"].as_str().map(str::len),
        Some(200 * 1024)
    );
    assert_eq!(whole.body.get("truncated"), None);
    // The second one would fit without the rest of the body.
    for bytes in [1024 * 1024, 256 * 1024 - 10] {
        let cut = told(bytes, false).await;
        assert_eq!(cut.body["data"].get("result"), None);
        assert_eq!(cut.body["truncated"], true);
        assert!(cut.body["data"]["finished_at"].is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_large_all_the_same_is_told_in_short() {
    let whole = told(200 * 1024, true).await;
    assert!(whole.body["data"]["error"]["details"].is_string());
    let cut = told(300 * 1024, true).await;
    assert_eq!(cut.body["type"], "task.failed");
    assert_eq!(cut.body["truncated"], true);
    let id = cut.body["data"]["task_id"].clone();
    let rest = json!({"task_id": id, "tool": "large", "status": "failed", "done": true});
    assert_eq!(cut.body["data"], rest);
}
