use async_tool::async_tool;

#[async_tool(retry(attempts = 3, backoff = "10s", max_backoff = "5s"))]
async fn build() {}

fn main() {}
