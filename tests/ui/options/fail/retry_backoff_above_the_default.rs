use async_tool::async_tool;

#[async_tool(retry(attempts = 3, backoff = "61s"))]
async fn build() {}

fn main() {}
