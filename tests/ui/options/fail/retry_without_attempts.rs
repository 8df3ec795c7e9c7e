use async_tool::async_tool;

#[async_tool(retry(backoff = "2s"))]
async fn build() {}

fn main() {}
