use async_tool::async_tool;

#[async_tool(retry = 3)]
async fn build() {}

fn main() {}
