use async_tool::async_tool;

#[async_tool(retry(attempts = 101))]
async fn build() {}

fn main() {}
