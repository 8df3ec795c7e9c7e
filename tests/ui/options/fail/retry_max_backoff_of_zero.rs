use async_tool::async_tool;

#[async_tool(retry(attempts = 3, max_backoff = "0s"))]
async fn build() {}

fn main() {}
