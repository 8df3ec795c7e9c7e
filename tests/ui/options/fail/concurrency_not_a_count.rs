use async_tool::async_tool;

#[async_tool(concurrency = "two")]
async fn build() {}

fn main() {}
