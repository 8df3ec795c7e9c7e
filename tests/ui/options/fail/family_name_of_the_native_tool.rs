use async_tool::async_tool;

#[async_tool(surface(family, native), names(initiate = "build"))]
async fn build() {}

fn main() {}
