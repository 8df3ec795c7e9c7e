use async_tool::async_tool;

#[async_tool(crate = renamed)]
async fn build() {}

fn main() {}
