use async_tool::async_tool;

#[async_tool(timeout = "15m", timeout = "20m")]
async fn build() {}

fn main() {}
