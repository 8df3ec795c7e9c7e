use async_tool::async_tool;

#[async_tool(timeuot = "15m")]
async fn build() {}

fn main() {}
