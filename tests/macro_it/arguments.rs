//! What is owned comes from the caller.

use async_tool::{TaskContext, ToolError, async_tool};
use serde_json::{Value, json};

use crate::{call, serve};

/// Join some words.
#[async_tool]
async fn join(
    /// The words.
    words: Vec<String>,
    #[serde(default)] upper: bool,
    separator: Option<String>,
    #[serde(rename = "final", alias = "end")] last: char,
    #[schemars(range(min = 1, max = 3))] mut times: u8,
    task: &TaskContext,
) -> String {
    let mut text = words.join(separator.as_deref().unwrap_or(" "));
    if upper {
        text = text.to_uppercase();
    }
    let mut out = format!("{}: ", task.tool());
    while times > 0 {
        out.push_str(&text);
        times -= 1;
    }
    out.push(last);
    out
}

#[tokio::test]
async fn they_arrive_where_they_belong() {
    let arguments = json!({
        "words": ["a", "b"], "upper": true, "separator": "-", "final": "!", "times": 2
    });
    let end = call(JoinTool, arguments).await;
    assert_eq!(end["result"], "join: A-BA-B!");
}

#[tokio::test]
async fn what_is_optional_or_has_a_default_may_be_left_out() {
    let end = call(
        JoinTool,
        json!({ "words": ["a", "b"], "final": "!", "times": 1 }),
    )
    .await;
    assert_eq!(end["result"], "join: a b!");
}

#[tokio::test]
async fn what_no_parameter_names_is_refused() {
    let server = serve(JoinTool).await;
    let arguments = json!({ "words": [], "final": "!", "times": 1, "wurds": [] });
    let answer = server.call("join_initiate", arguments).await;
    assert!(answer.is_error);
    assert_eq!(answer.error_code(), Some("invalid_arguments"));
}

#[tokio::test]
async fn the_schema_says_what_the_parameters_say() {
    let schema = input_schema(JoinTool).await;
    let properties = &schema["properties"];
    assert_eq!(properties["words"]["description"], "The words.");
    assert_eq!(properties["upper"]["default"], false);
    assert_eq!(properties["times"]["maximum"], 3);
    assert!(properties.get("last").is_none(), "{properties}");
    assert!(properties["final"].get("description").is_none());
    assert_eq!(schema["required"], json!(["words", "final", "times"]));
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema.get("description").is_none(), "{schema}");
}

/// A raw identifier is called by its plain name.
#[async_tool]
async fn raw(r#type: String, r#match: u8) -> String {
    format!("{type} {match}")
}

#[tokio::test]
async fn raw_identifiers_are_plain_for_clients() {
    let end = call(RawTool, json!({ "type": "lib", "match": 3 })).await;
    assert_eq!(end["result"], "lib 3");
}

/// Locals of the expansion have these names too.
#[async_tool]
async fn input(input: u8, call: u8) -> Result<u8, ToolError> {
    input
        .checked_sub(call)
        .ok_or_else(|| ToolError::new("below zero").with_code("below_zero"))
}

#[tokio::test]
async fn names_of_the_expansion_s_locals_are_free() {
    let end = call(InputTool, json!({ "input": 5, "call": 3 })).await;
    assert_eq!(end["result"], 2);
}

#[test]
fn the_input_struct_is_what_a_client_sends() {
    let sent = JoinInput {
        words: vec!["a".to_owned()],
        upper: false,
        separator: None,
        last: '.',
        times: 1,
    };
    let sent = serde_json::to_value(sent).expect("plain data");
    let expected = json!({
        "words": ["a"], "upper": false, "separator": null, "final": ".", "times": 1
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn the_function_is_still_a_function() {
    let task = TaskContext::detached("elsewhere");
    let text = join(vec!["a".to_owned()], false, None, '.', 1, &task).await;
    assert_eq!(text, "elsewhere: a.");
}

async fn input_schema(tool: impl async_tool::AsyncTool) -> Value {
    let initiate = format!("{}_initiate", tool.descriptor().name);
    let server = serve(tool).await;
    let tools = server.peer().list_all_tools().await.expect("a list");
    let tool = tools
        .into_iter()
        .find(|tool| tool.name == initiate)
        .expect("the initiate tool");
    Value::Object(tool.input_schema.as_ref().clone())
}
