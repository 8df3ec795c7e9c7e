use async_tool::async_tool;

#[async_tool(timeout =)]
async fn build() {}

fn main() {}
