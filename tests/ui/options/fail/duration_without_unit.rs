use async_tool::async_tool;

#[async_tool(timeout = "15")]
async fn build() {}

fn main() {}
