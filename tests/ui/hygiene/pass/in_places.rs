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

macro_rules! tools {
    ($type:ty, $name:ident, $argument:ident: $argument_type:ty, $body:block) => {
        #[async_tool]
        impl $type {
            #[async_tool(timeout = "5m")]
            async fn $name(&self, $argument: $argument_type, mut other: Vec<Self>) -> Vec<Self> {
                other.push($body);
                other
            }

            #[async_tool]
            async fn with_its_body_from_a_macro(&self, $argument: $argument_type) -> Self $body
        }
    };
}

tools!(Local, method_from_a_macro, argument: Option<Local>, { argument.unwrap_or(Local) });

#[async_tool]
#[cfg(any())]
impl Missing {
    #[async_tool]
    async fn never_either(&self) {}
}

#[async_tool]
#[cfg(not(any()))]
impl Local {
    #[async_tool]
    #[cfg(any())]
    async fn never_a_method(&self, missing: Missing) {}

    #[cfg(not(any()))]
    #[async_tool]
    async fn ever_a_method(&self) {}
}

fn main() {
    struct InAFunction;

    #[async_tool]
    impl InAFunction {
        #[async_tool]
        async fn method_in_a_function(&self) {}
    }

    let _ = InAFunction;

    #[async_tool]
    async fn in_a_function() {}

    let registry = Registry::from_inventory();
    let names: Vec<_> = registry.names().collect();
    assert_eq!(
        names,
        [
            "ever",
            "ever_a_method",
            "from_a_macro",
            "in_a_function",
            "in_a_module",
            "method_from_a_macro",
            "method_in_a_function",
            "with_its_body_from_a_macro"
        ]
    );
    let _ = (outer::inner::in_a_module(1), FromAMacroTool);
}
