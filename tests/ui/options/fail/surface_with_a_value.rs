use async_tool::async_tool;

#[async_tool(surface(family = false, native))]
async fn build() {}

fn main() {}
