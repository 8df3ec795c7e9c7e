use async_tool::async_tool;

#[async_tool(undeclared)]
async fn build() {}

fn main() {}
