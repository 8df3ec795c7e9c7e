use async_tool::async_tool;

#[async_tool(retry(attempts = "3"))]
async fn build() {}

fn main() {}
