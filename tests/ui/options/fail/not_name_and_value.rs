use async_tool::async_tool;

#[async_tool("15m")]
async fn build() {}

fn main() {}
