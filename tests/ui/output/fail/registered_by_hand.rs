use async_tool::async_tool;
use async_tool::Registry;

#[derive(schemars::JsonSchema)]
struct Report;

#[async_tool]
async fn build() -> Report {
    Report
}

fn registry() -> Registry {
    Registry::new().with(BuildTool)
}

fn main() {}
