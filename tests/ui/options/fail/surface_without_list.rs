use async_tool::async_tool;

#[async_tool(surface = "native")]
async fn build() {}

fn main() {}
