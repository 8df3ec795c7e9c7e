use async_tool::async_tool;

#[async_tool(name = "build it")]
async fn build() {}

fn main() {}
