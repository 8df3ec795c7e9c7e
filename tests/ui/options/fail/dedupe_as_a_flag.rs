use async_tool::async_tool;

#[async_tool(dedupe)]
async fn build() {}

fn main() {}
