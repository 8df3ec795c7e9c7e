//! What `tools/list` publishes, and that every answer conforms to it.

use std::collections::BTreeMap;

use async_tool::testing::{Answer, TestServer};
use rmcp::model::Tool;
use serde_json::{Value, json};

use crate::tools::start;

async fn published(server: &TestServer) -> BTreeMap<String, Tool> {
    let tools = server.peer().list_all_tools().await.expect("lists");
    let names: Vec<_> = tools.iter().map(|tool| tool.name.to_string()).collect();
    assert!(names.is_sorted(), "{names:?}");
    tools
        .into_iter()
        .map(|tool| (tool.name.to_string(), tool))
        .collect()
}

fn schema(object: &rmcp::model::JsonObject) -> Value {
    Value::Object(object.clone())
}

#[tokio::test(start_paused = true)]
async fn every_schema_is_valid_and_a_plain_object_at_its_top() {
    let server = start().await;
    for (name, tool) in published(&server).await {
        let output = tool.output_schema.as_deref().expect("has one");
        for (which, schema) in [
            ("input", schema(&tool.input_schema)),
            ("output", schema(output)),
        ] {
            assert_eq!(schema["type"], "object", "{name} {which}");
            for combinator in ["oneOf", "anyOf", "allOf"] {
                assert!(schema.get(combinator).is_none(), "{name} {which}");
            }
            if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
                panic!("{name} {which}: {error}");
            }
        }
        assert_eq!(tool.input_schema["additionalProperties"], false, "{name}");
        assert!(tool.description.is_some_and(|text| !text.is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_conforms_to_its_output_schema_refusals_included() {
    let server = start().await;
    let tools = published(&server).await;
    let conforms = |name: &str, answer: &Answer| {
        let output = tools[name].output_schema.as_deref().expect("has one");
        let validator = jsonschema::validator_for(&schema(output)).expect("valid");
        if let Err(error) = validator.validate(&answer.structure) {
            panic!("{name}: {error}\n{}", answer.text);
        }
    };

    let calls = [
        ("nap", json!({"millis": 10}), json!({"millis": "x"})),
        ("odd", json!({"how": "quota"}), json!({"how": "none"})),
        ("odd", json!({"how": "nan"}), json!({})),
        ("work", json!({"units": 2}), json!({"units": -1})),
        ("quick", json!({"millis": 1}), json!({"millis": 1, "x": 2})),
        ("single", json!({"millis": 1}), json!({"millis": null})),
        (
            "strict",
            json!({"level": 3, "name": "abc"}),
            json!({"level": 0}),
        ),
    ];
    for (tool, good, bad) in calls {
        let (initiate, status, cancel) = (
            format!("{tool}_initiate"),
            format!("{tool}_status"),
            format!("{tool}_cancel"),
        );
        let refused = server.call(&initiate, bad).await;
        assert!(refused.is_error);
        conforms(&initiate, &refused);
        let task = server.call(&initiate, good).await;
        conforms(&initiate, &task);
        let id = json!({"task_id": task.id()});
        conforms(&status, &server.call(&status, id.clone()).await);
        conforms(&status, &server.finish(tool, task.id()).await);
        conforms(&cancel, &server.call(&cancel, id).await);
        let nothing = json!({"task_id": "nothing"});
        conforms(&status, &server.call(&status, nothing.clone()).await);
        conforms(&cancel, &server.call(&cancel, nothing).await);
    }
}

#[tokio::test(start_paused = true)]
async fn the_schema_has_what_the_author_wrote() {
    let server = start().await;
    let tools = published(&server).await;
    let strict = schema(&tools["strict_initiate"].input_schema);
    assert_eq!(strict["properties"]["level"]["maximum"], 10);
    assert_eq!(strict["properties"]["name"]["pattern"], "^[a-z]+$");
    assert_eq!(strict["required"], json!(["level", "name"]));
    let nap = &tools["nap_initiate"];
    assert_eq!(
        nap.input_schema["properties"]["millis"]["description"],
        "How long, in milliseconds."
    );
    let description = nap.description.as_deref().unwrap_or_default();
    assert!(
        description.starts_with("Sleep for a while.\n\n"),
        "{description}"
    );
    assert!(description.contains("nap_status") && description.contains("nap_cancel"));
    assert!(description.contains("Readable for 1day"), "{description}");
    let output = schema(
        tools["nap_status"]
            .output_schema
            .as_deref()
            .expect("has one"),
    );
    let result = &output["properties"]["result"];
    assert!(
        result["$ref"] == "#/$defs/Rested" && output["$defs"]["Rested"]["type"] == "object"
            || result["properties"]["millis"]["type"] == "integer",
        "{output}"
    );
    assert_eq!(
        tools["work_initiate"].title.as_deref(),
        Some("Work in steps")
    );
    let hints = |name: &str| tools[name].annotations.clone().unwrap_or_default();
    assert_eq!(hints("nap_status").read_only_hint, Some(true));
    assert_eq!(hints("nap_status").idempotent_hint, Some(true));
    assert_eq!(hints("nap_cancel").destructive_hint, Some(true));
    assert_eq!(hints("nap_initiate").idempotent_hint, None);
}

#[tokio::test(start_paused = true)]
async fn a_family_of_two_small_arguments_costs_no_more_than_three_kibibytes() {
    let server = start().await;
    let tools = published(&server).await;
    let size: usize = ["nap_initiate", "nap_status", "nap_cancel"]
        .into_iter()
        .map(|name| {
            serde_json::to_string(&tools[name])
                .expect("serialises")
                .len()
        })
        .sum();
    assert!(size <= 3 * 1024, "{size} bytes");
}
