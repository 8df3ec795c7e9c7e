use async_tool::async_tool;

#[async_tool(dedupe = "key")]
async fn build() {}

fn main() {}
