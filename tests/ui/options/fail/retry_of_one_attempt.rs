use async_tool::async_tool;

#[async_tool(retry(attempts = 1))]
async fn build() {}

fn main() {}
