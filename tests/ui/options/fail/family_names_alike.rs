use async_tool::async_tool;

#[async_tool(names(initiate = "build", cancel = "build"))]
async fn build() {}

fn main() {}
