//! What bad input gets: a tool result that says what was wrong and where.

use async_tool::testing::TestServer;
use serde_json::{Value, json};

use crate::tools::{builder, start};

async fn refused(server: &TestServer, tool: &str, arguments: Value, code: &str) -> String {
    let answer = server.call(tool, arguments.clone()).await;
    assert!(answer.is_error, "{arguments} was accepted: {}", answer.text);
    assert_eq!(answer.error_code(), Some(code), "{}", answer.text);
    assert_eq!(
        answer.structure.as_object().map(serde_json::Map::len),
        Some(1)
    );
    assert_eq!(answer.text, answer.structure.to_string());
    answer["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(start_paused = true)]
async fn arguments_are_checked_against_the_published_schema() {
    let server = start().await;
    let good = json!({"level": 1, "name": "abc"});
    for (change, expected) in [
        (json!({"level": null}), "/level"),
        (json!({"level": "1"}), "/level"),
        (json!({"level": 0}), "/level: must be at least 1"),
        (json!({"level": 11}), "/level: must be at most 10"),
        (json!({"level": 1.5}), "/level"),
        (json!({"name": "a"}), "/name"),
        (json!({"name": "abcdef"}), "/name"),
        (
            json!({"name": "ABC"}),
            "/name: must match the pattern ^[a-z]+$",
        ),
        (json!({"colour": "blue"}), "/colour"),
        (
            json!({"points": [{"x": 1, "y": 2}, {"x": 101, "y": 2}]}),
            "/points/1/x",
        ),
        (
            json!({"points": [{"x": 1}]}),
            "/points/0: the property `y` is required",
        ),
        (
            json!({"points": [{"x": 1, "y": 1, "yy": 2}]}),
            "did you mean `y`?",
        ),
        (
            json!({"nmae": "abc"}),
            "unknown property `nmae`; did you mean `name`?",
        ),
        (
            json!({"zzzzzzz": 1}),
            "unknown property `zzzzzzz`; known are",
        ),
        (json!({"address": "not an address"}), "/address"),
    ] {
        let mut arguments = good.clone();
        for (key, value) in change.as_object().into_iter().flatten() {
            arguments[key] = value.clone();
        }
        let message = refused(&server, "strict_initiate", arguments, "invalid_arguments").await;
        assert!(message.contains(expected), "{change}: {message}");
    }
    let message = refused(&server, "strict_initiate", json!({}), "invalid_arguments").await;
    assert!(message.contains("`level` is required"), "{message}");
    assert!(message.contains("`name` is required"), "{message}");
    let answer = server.call("strict_initiate", good).await;
    assert!(!answer.is_error, "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn refusals_give_the_path_for_programs_and_never_quote_values() {
    let server = start().await;
    let secret = json!({"level": "hunter2", "name": "abc"});
    let answer = server.call("strict_initiate", secret).await;
    assert_eq!(answer["error"]["details"]["problems"][0]["path"], "/level");
    assert!(!answer.text.contains("hunter2"), "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_an_enum_allows() {
    let server = TestServer::start(builder().tool(choosy::PaintTool)).await;
    for (change, expected) in [
        (
            json!({"colour": "q"}),
            r#"/colour: must be one of ["red","green"]"#,
        ),
        (
            json!({"colour": 1}),
            r#"/colour: must be one of ["red","green"]"#,
        ),
        (
            json!({"colour": "gren"}),
            r#"/colour: must be one of ["red","green"]; did you mean "green"?"#,
        ),
        (
            json!({"under": "q"}),
            r#"/under: must be one of ["red","green",null]"#,
        ),
        (
            json!({"shapes": [{"kind": "circle", "radius": -1}]}),
            "/shapes/0/radius: must be at least 0",
        ),
        (
            json!({"shapes": [{"kind": "circel", "radius": 1}]}),
            r#"/shapes/0/kind: must be one of ["circle","text"]; did you mean "circle"?"#,
        ),
        (
            json!({"shapes": [{"kind": "text", "text": {"plain": 1}}]}),
            r#"/shapes/0/text/plain: the value is not of type "string""#,
        ),
        (
            json!({"shapes": [{"kind": "text", "text": {"plan": "a"}}]}),
            "/shapes/0/text: unknown property `plan`; did you mean `plain`?",
        ),
        (
            json!({"shapes": ["hunter2"]}),
            "/shapes/0: must be an object with the property `kind`",
        ),
    ] {
        let mut arguments = json!({"colour": "red"});
        for (key, value) in change.as_object().into_iter().flatten() {
            arguments[key] = value.clone();
        }
        let message = refused(&server, "paint_initiate", arguments, "invalid_arguments").await;
        assert_eq!(message, expected);
    }
    let good = json!({"colour": "green", "shapes": [
        {"kind": "circle", "radius": 1}, {"kind": "text", "text": {"plain": "a"}},
    ]});
    assert!(!server.call("paint_initiate", good).await.is_error);
    let message = refused(
        &server,
        "strict_initiate",
        json!({"level": 1, "name": "abc", "colour": "blue"}),
        "invalid_arguments",
    )
    .await;
    assert_eq!(message, r#"/colour: must be one of ["red","green",null]"#);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_quotes_no_more_than_a_little() {
    let server = TestServer::start(builder().tool(picky::EchoTool)).await;
    let long = "ä".repeat(10_000);
    for (arguments, cut) in [
        // Fits the schema, but not the type.
        (json!({"texts": {&long: &long}}), "message"),
        // Does not fit the schema.
        (json!({"texts": {&long: 7}}), "path"),
        (json!({ &long: 7 }), ""),
    ] {
        let answer = server.call("echo_initiate", arguments).await;
        assert_eq!(answer.error_code(), Some("invalid_arguments"));
        let problems = &answer["error"]["details"]["problems"];
        assert!(problems.as_array().is_some_and(|all| !all.is_empty()));
        for problem in problems.as_array().into_iter().flatten() {
            for (part, limit) in [("path", 200), ("message", 1000)] {
                let text = problem[part].as_str().unwrap_or_default();
                assert!(text.chars().count() <= limit, "{part}: {text}");
                assert!(part != cut || text.ends_with('…'), "{part}: {text}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn control_properties_are_checked_too() {
    let server = start().await;
    for (name, value) in [
        ("idempotency_key", json!("")),
        ("idempotency_key", json!("a b")),
        ("idempotency_key", json!("tab\t")),
        ("idempotency_key", json!("newline\n")),
        ("idempotency_key", json!("ünïcode")),
        ("idempotency_key", json!("k".repeat(256))),
        ("idempotency_key", json!(7)),
        ("max_wait_seconds", json!(0)),
        ("max_wait_seconds", json!(-1)),
        ("max_wait_seconds", json!("NaN")),
        ("max_wait_seconds", json!(null)),
    ] {
        let mut arguments = json!({"units": 1});
        arguments[name] = value;
        let message = refused(&server, "work_initiate", arguments, "invalid_arguments").await;
        assert!(message.contains(name), "{message}");
    }
    for too_long in [json!(1e300), json!(7201)] {
        let arguments = json!({"units": 1, "max_wait_seconds": too_long});
        let message = refused(&server, "work_initiate", arguments, "invalid_arguments").await;
        assert!(message.contains("7200"), "the maximum is stated: {message}");
    }
    let key = json!({"units": 1, "idempotency_key": "!".repeat(255), "max_wait_seconds": 0.001});
    assert!(!server.call("work_initiate", key).await.is_error);
}

#[tokio::test(start_paused = true)]
async fn arguments_that_are_too_large_are_refused() {
    let server = start().await;
    let points = vec![json!({"x": 1, "y": 1}); 200_000];
    let arguments = json!({"level": 1, "name": "abc", "points": points});
    assert!(arguments.to_string().len() > 2 * 1024 * 1024);
    let message = refused(&server, "strict_initiate", arguments, "invalid_arguments").await;
    assert!(message.contains("1048576 bytes"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_cannot_be_seen_is_not_found_whatever_the_reason() {
    let server = start().await;
    let other = server.call("quick_initiate", json!({"millis": 1})).await;
    let mut answers = Vec::new();
    for id in [
        json!(""),
        json!("no id at all"),
        json!("0".repeat(32)),
        json!("x".repeat(10 * 1024)),
        other["task_id"].clone(),
    ] {
        for tool in ["nap_status", "nap_cancel"] {
            let answer = server.call(tool, json!({ "task_id": id })).await;
            assert_eq!(
                answer.error_code(),
                Some("task_not_found"),
                "{}",
                answer.text
            );
            answers.push(answer.text);
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all the same: {answers:?}");
}

#[tokio::test(start_paused = true)]
async fn status_arguments_are_checked() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 60_000})).await;
    for change in [
        json!({"wait_seconds": -0.1}),
        json!({"wait_seconds": "5"}),
        json!({"until": "never"}),
        json!({"since": -1}),
        json!({"include_result": "yes"}),
        json!({"wait": 5}),
        json!({"task_id": 5}),
    ] {
        let mut arguments = json!({"task_id": task.id()});
        for (key, value) in change.as_object().into_iter().flatten() {
            arguments[key] = value.clone();
        }
        refused(&server, "nap_status", arguments, "invalid_arguments").await;
    }
    refused(&server, "nap_status", json!({}), "invalid_arguments").await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_tool_is_a_protocol_error() {
    let server = start().await;
    let params = rmcp::model::CallToolRequestParams::new("nap");
    let error = server.peer().call_tool(params).await.expect_err("unknown");
    assert!(error.to_string().contains("unknown tool: nap"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_wrong_with_a_server_is_said_at_once() {
    let error = async_tool::AsyncTools::builder()
        .registry(crate::tools::all())
        .registry(
            crate::tools::all()
                .with(clash::NapTool)
                .with(reserved::SneakyTool)
                .with(reserved::EitherTool)
                .with(wide::PayTool)
                .with(wide::CountTool),
        )
        .state(1_u8)
        .state(2_u8)
        .build()
        .await
        .expect_err("much is wrong");
    let text = error.to_string();
    for expected in [
        "two tools are named `nap`",
        "tests/it/tools.rs:",
        "tests/it/refusals.rs:",
        "the tool `nap` borrows `&alloc::sync::Arc<it::tools::Runs>`",
        "two values of type `u8`",
        "an argument named `idempotency_key`",
        "`anyOf` at its top",
        "the tool `pay`: the argument `amounts.net` is an integer of 128 bits (`uint128`)",
        "the tool `pay`: the property `net` of its result is an integer of 128 bits (`uint128`)",
        "the tool `count`: its result is an integer of 128 bits (`int128`)",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    drop(builder());
}

#[tokio::test]
async fn a_server_without_tools_explains_the_usual_reason() {
    let error = async_tool::AsyncTools::builder()
        .registry(async_tool::Registry::new())
        .build()
        .await
        .expect_err("no tools");
    assert!(error.to_string().contains("use its_name as _;"), "{error}");
}

/// Enums in each shape.
mod choosy {
    use async_tool::async_tool;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub(crate) enum Colour {
        /// Like blood.
        Red,
        /// Like grass.
        Green,
    }

    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase", tag = "kind")]
    pub(crate) enum Shape {
        Circle { radius: u8 },
        Text { text: Text },
    }

    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub(crate) enum Text {
        Plain(String),
        Rich { html: String },
    }

    /// Paint shapes.
    #[async_tool]
    pub(crate) async fn paint(
        colour: Colour,
        #[serde(default)] under: Option<Colour>,
        #[serde(default)] shapes: Vec<Shape>,
    ) -> String {
        format!("{colour:?} {under:?} {shapes:?}")
    }
}

/// Refuses what its schema allows, and says everything twice.
mod picky {
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    use async_tool::async_tool;
    use schemars::{JsonSchema, Schema, SchemaGenerator};
    use serde::{Deserialize, Deserializer, Serialize, de::Error};

    #[derive(Serialize)]
    pub(crate) struct Picky(String);

    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            Err(D::Error::custom(format!("{text} is not good: {text}")))
        }
    }

    impl JsonSchema for Picky {
        fn schema_name() -> Cow<'static, str> {
            "Picky".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            String::json_schema(generator)
        }
    }

    /// Echo nothing.
    #[async_tool]
    pub(crate) async fn echo(texts: BTreeMap<String, Picky>) {
        drop(texts);
    }
}

mod clash {
    use async_tool::async_tool;

    /// Another nap.
    #[async_tool]
    pub(crate) async fn nap() {}
}

/// Numbers that JSON does not carry.
mod wide {
    use async_tool::async_tool;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Amount {
        net: u128,
    }

    /// Pay.
    #[async_tool]
    pub(crate) async fn pay(amounts: Vec<Amount>) -> Option<Amount> {
        amounts.into_iter().next()
    }

    /// Count.
    #[async_tool]
    pub(crate) async fn count() -> i128 {
        0
    }
}

/// What the macro refuses can still be written by hand.
mod reserved {
    use async_tool::{AsyncTool, BoxError, Call, Descriptor};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Sneaky {
        idempotency_key: String,
    }

    pub(crate) struct SneakyTool;

    impl AsyncTool for SneakyTool {
        type Input = Sneaky;
        type Output = String;

        fn descriptor(&self) -> &'static Descriptor {
            static SNEAKY: Descriptor = Descriptor::new("sneaky");
            &SNEAKY
        }

        async fn run(&self, input: Sneaky, _: Call<'_>) -> Result<String, BoxError> {
            Ok(input.idempotency_key)
        }
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(untagged)]
    pub(crate) enum Either {
        One { one: u8 },
        Two { two: u8 },
    }

    pub(crate) struct EitherTool;

    impl AsyncTool for EitherTool {
        type Input = Either;
        type Output = u8;

        fn descriptor(&self) -> &'static Descriptor {
            static EITHER: Descriptor = Descriptor::new("either");
            &EITHER
        }

        async fn run(&self, input: Either, _: Call<'_>) -> Result<u8, BoxError> {
            Ok(match input {
                Either::One { one } => one,
                Either::Two { two } => two,
            })
        }
    }
}
