use async_tool::async_tool;

#[async_tool(concurrency = 0)]
async fn build() {}

fn main() {}
