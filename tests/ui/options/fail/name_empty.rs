use async_tool::async_tool;

#[async_tool(name = "")]
async fn build() {}

fn main() {}
