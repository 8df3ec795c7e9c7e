use async_tool::async_tool;

#[async_tool(surface(native), names(initiate = "start_build"))]
async fn build() {}

fn main() {}
