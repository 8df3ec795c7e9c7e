use async_tool::async_tool;

#[async_tool(interactive, names(cancel = "build_respond"))]
async fn build() {}

fn main() {}
