use async_tool::async_tool;

#[async_tool(names(initiate = "build_status"))]
async fn build() {}

fn main() {}
