use async_tool::async_tool;

#[async_tool(queue = -1)]
async fn build() {}

fn main() {}
