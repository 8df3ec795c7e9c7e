use async_tool::async_tool;

#[async_tool(annotations(read_only = "yes"))]
async fn build() {}

fn main() {}
