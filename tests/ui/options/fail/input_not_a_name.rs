use async_tool::async_tool;

#[async_tool(input = "Arguments")]
async fn build() {}

fn main() {}
