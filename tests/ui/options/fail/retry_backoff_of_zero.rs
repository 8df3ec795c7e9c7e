use async_tool::async_tool;

#[async_tool(retry(attempts = 3, backoff = "0s"))]
async fn build() {}

fn main() {}
