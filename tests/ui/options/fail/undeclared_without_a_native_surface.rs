use async_tool::async_tool;

#[async_tool(surface(family, shared), undeclared = "reject")]
async fn build() {}

fn main() {}
