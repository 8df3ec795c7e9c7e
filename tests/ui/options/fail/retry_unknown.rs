use async_tool::async_tool;

#[async_tool(retry(attempt = 3))]
async fn build() {}

fn main() {}
