use async_tool::async_tool;

#[async_tool(surface())]
async fn build() {}

fn main() {}
