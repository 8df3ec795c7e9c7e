//! Tools register themselves, wherever they are.

use async_tool::{AsyncTool, Registry, async_tool};
use dependency_tool::{GreetInput, GreetTool};
use serde_json::json;

use crate::call;

pub(crate) mod outer {
    pub(crate) mod inner {
        /// A tool in a module.
        #[async_tool::async_tool]
        pub(crate) async fn in_a_module(number: super::Number) -> super::Number {
            number
        }
    }

    type Number = u8;
}

#[async_tool]
#[cfg(not(test))]
async fn never(missing: Missing) -> Missing {
    missing
}

#[async_tool(input = Arguments, tool = Tool)]
async fn renamed_types(number: u8) -> u8 {
    number
}

#[test]
fn each_registers_itself_but_those_that_are_configured_away() {
    let registry = Registry::from_inventory();
    let names: Vec<_> = registry.names().collect();
    for name in ["greet", "in_a_module", "renamed_types"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(!names.contains(&"never"));
}

#[test]
fn the_generated_types_can_have_other_names() {
    let registry = Registry::new().with(Tool);
    assert_eq!(registry.names().collect::<Vec<_>>(), ["renamed_types"]);
    let arguments = serde_json::to_value(Arguments { number: 1 }).expect("plain data");
    assert_eq!(arguments, json!({ "number": 1 }));
}

#[tokio::test]
async fn a_tool_of_a_dependency_that_renames_the_facade() {
    let arguments = GreetInput {
        name: "Ada".to_owned(),
    };
    let arguments = serde_json::to_value(arguments).expect("plain data");
    let end = call(GreetTool, arguments).await;
    assert_eq!(end["result"], "greet: hello Ada");
    assert!(GreetTool.descriptor().source.file().ends_with("lib.rs"));
}

#[tokio::test]
async fn a_tool_in_a_module() {
    let end = call(outer::inner::InAModuleTool, json!({ "number": 7 })).await;
    assert_eq!(end["result"], 7);
}
