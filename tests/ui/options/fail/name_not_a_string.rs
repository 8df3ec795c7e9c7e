use async_tool::async_tool;

#[async_tool(name = build)]
async fn build() {}

fn main() {}
