use async_tool::async_tool;

#[async_tool(surface(family, natve))]
async fn build() {}

fn main() {}
