//! A server as its author writes it with rmcp's macros, with our tools added.

use rmcp::handler::server::router::prompt::PromptRouter;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{PromptMessage, ReadResourceResult, Resource, ResourceContents, Role};
use rmcp::schemars::{self, JsonSchema};
use rmcp::{prompt, prompt_handler, prompt_router, tool_handler, tool_router};
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, JsonSchema)]
struct Sum {
    a: i64,
    b: i64,
}

#[derive(Debug, Clone)]
struct Calculator {
    tools: ToolRouter<Self>,
    prompts: PromptRouter<Self>,
}

#[tool_router]
impl Calculator {
    fn new() -> Self {
        Self {
            tools: Self::tool_router(),
            prompts: Self::prompt_router(),
        }
    }

    /// Adds two numbers.
    #[rmcp::tool]
    async fn add(&self, Parameters(Sum { a, b }): Parameters<Sum>) -> String {
        (a + b).to_string()
    }
}

#[prompt_router]
impl Calculator {
    /// Asks for a proof.
    #[prompt]
    async fn prove(&self) -> Vec<PromptMessage> {
        vec![PromptMessage::new_text(Role::User, "Prove it.")]
    }
}

#[tool_handler(router = self.tools)]
#[prompt_handler(router = self.prompts)]
impl ServerHandler for Calculator {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_prompts()
                .enable_resources()
                .build(),
        )
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, McpError> {
        let pi = Resource::new("number://pi", "pi");
        Ok(ListResourcesResult::with_all_items(vec![pi]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, McpError> {
        let pi = ResourceContents::text("3.14", request.uri);
        Ok(ReadResourceResult::new(vec![pi]).into())
    }
}

#[tokio::test]
async fn its_tools_prompts_and_resources_keep_working() {
    for lifecycle in [ClientLifecycleMode::Initialize, discover()] {
        let client = connect(compose(Calculator::new()), (), lifecycle).await;

        let tools = client.list_all_tools().await.expect("tools");
        assert_eq!(
            names(&tools),
            ["build_cancel", "build_initiate", "build_status", "add"]
        );
        for (call, answer) in [("add", "42"), ("build_initiate", "ours: build_initiate")] {
            let mut request = CallToolRequestParams::new(call);
            request.arguments = json!({ "a": 40, "b": 2 }).as_object().cloned();
            let result = client.call_tool(request).await.expect("an answer");
            assert_eq!(result.content, [ContentBlock::text(answer)]);
        }

        let prompts = client.list_all_prompts().await.expect("prompts");
        assert_eq!(prompts.len(), 1);
        let prompt = client
            .get_prompt(GetPromptRequestParams::new("prove"))
            .await;
        assert_eq!(prompt.expect("a prompt").messages.len(), 1);

        let resources = client.list_all_resources().await.expect("resources");
        let uri = resources.first().expect("one").uri.clone();
        let read = client
            .read_resource(ReadResourceRequestParams::new(uri))
            .await;
        assert_eq!(read.expect("contents").contents.len(), 1);
    }
}

#[test]
fn a_clash_with_its_router_is_refused() {
    let mut calculator = Calculator::new();
    let mut route = calculator.tools.map.get("add").expect("its tool").clone();
    route.attr.name = "build_status".into();
    calculator.tools.add_route(route);
    let clash = Composed::new(Ours::shared(), calculator).expect_err("one clash");
    assert_eq!(clash.names(), ["build_status"]);
}
