#![deny(warnings)]

use async_tool::{Registry, async_tool};

mod outer {
    pub(crate) mod inner {
        #[async_tool::async_tool]
        pub(crate) async fn in_a_module(number: super::Number) -> super::Number {
            number
        }
    }

    type Number = u8;
}

#[async_tool]
#[cfg(any())]
async fn never(missing: Missing) -> Missing {
    missing
}

#[async_tool]
#[cfg(not(any()))]
async fn ever() {}

macro_rules! tool {
    ($name:ident, $input:ident, $tool:ident, $argument:ty, $description:expr, $limit:expr) => {
        #[async_tool(
                            input = $input,
                            tool = $tool,
                            description = $description,
                            concurrency = $limit
                        )]
        async fn $name(argument: $argument, other: $crate::Local) -> $crate::Local {
            let _ = argument;
            other
        }
    };
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Local;

tool!(
    from_a_macro,
    FromAMacro,
    FromAMacroTool,
    Vec<Local>,
    "Made by a macro.",
    3
);

fn main() {
    #[async_tool]
    async fn in_a_function() {}

    let registry = Registry::from_inventory();
    let names: Vec<_> = registry.names().collect();
    assert_eq!(
        names,
        ["ever", "from_a_macro", "in_a_function", "in_a_module"]
    );
    let _ = (outer::inner::in_a_module(1), FromAMacroTool);
}
