use async_tool::async_tool;

#[async_tool(retry(attempts = 3, max_backoff = "999ms"))]
async fn build() {}

fn main() {}
