use async_tool::async_tool;

#[async_tool(interactive = "yes")]
async fn build() {}

fn main() {}
