use async_tool::async_tool;

#[async_tool(names(status = "build/status"))]
async fn build() {}

fn main() {}
