//! What functions return, and what clients see of it.

use async_tool::{ToolError, async_tool};
use serde_json::{Value, json};

use crate::call;

#[async_tool]
async fn nothing() {}

#[async_tool]
async fn plain() -> Vec<u8> {
    vec![1, 2]
}

type Outcome<T> = Result<T, ToolError>;

#[async_tool]
async fn aliased(fail: bool) -> Outcome<u8> {
    if fail {
        return Err(ToolError::new("no quota left").with_code("quota"));
    }
    Ok(1)
}

#[async_tool]
async fn anyhow_result(fail: bool) -> anyhow::Result<u8> {
    anyhow::ensure!(!fail, "it was asked for");
    Ok(2)
}

#[async_tool]
async fn eyre_result(fail: bool) -> eyre::Result<u8> {
    eyre::ensure!(!fail, "it was asked for");
    Ok(3)
}

#[async_tool]
async fn io_result(fail: bool) -> std::io::Result<u8> {
    if fail {
        return Err(std::io::Error::other("it was asked for"));
    }
    Ok(4)
}

/// Both sides of this `Result` serialise, and it is a `Result` all the same.
#[async_tool]
async fn text_error(fail: bool) -> Result<String, String> {
    if fail {
        return Err("it was asked for".to_owned());
    }
    Ok("5".to_owned())
}

/// Only the outer `Result` is the tool's.
#[async_tool]
async fn nested() -> Result<Result<u8, String>, String> {
    Ok(Err("inside".to_owned()))
}

#[tokio::test]
async fn plain_values_are_results() {
    assert_eq!(call(NothingTool, json!({})).await["result"], Value::Null);
    assert_eq!(call(PlainTool, json!({})).await["result"], json!([1, 2]));
    let nested = call(NestedTool, json!({})).await;
    assert_eq!(nested["result"], json!({ "Err": "inside" }));
}

#[tokio::test]
async fn a_result_is_recognised_by_its_type() {
    let ok = json!({ "fail": false });
    assert_eq!(call(AliasedTool, ok.clone()).await["result"], 1);
    assert_eq!(call(AnyhowResultTool, ok.clone()).await["result"], 2);
    assert_eq!(call(EyreResultTool, ok.clone()).await["result"], 3);
    assert_eq!(call(IoResultTool, ok.clone()).await["result"], 4);
    assert_eq!(call(TextErrorTool, ok).await["result"], "5");
}

#[tokio::test]
async fn an_error_is_a_failed_task() {
    let fail = json!({ "fail": true });
    let ends = [
        call(AnyhowResultTool, fail.clone()).await,
        call(EyreResultTool, fail.clone()).await,
        call(IoResultTool, fail.clone()).await,
        call(TextErrorTool, fail.clone()).await,
    ];
    for end in ends {
        assert_eq!(end["status"], "failed", "{end}");
        assert_eq!(end["error"]["code"], "tool_error");
        assert_eq!(end["error"]["message"], "it was asked for");
        assert!(end.get("result").is_none(), "{end}");
    }
    assert_eq!(call(AliasedTool, fail).await["error"]["code"], "quota");
}
