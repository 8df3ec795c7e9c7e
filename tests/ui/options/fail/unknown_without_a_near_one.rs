use async_tool::async_tool;

#[async_tool(verbose = true)]
async fn build() {}

fn main() {}
