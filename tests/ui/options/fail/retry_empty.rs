use async_tool::async_tool;

#[async_tool(retry())]
async fn build() {}

fn main() {}
