use async_tool::async_tool;

#[async_tool(timeout = "101y")]
async fn build() {}

fn main() {}
