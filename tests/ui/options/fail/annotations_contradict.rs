use async_tool::async_tool;

#[async_tool(annotations(read_only, destructive))]
async fn build() {}

fn main() {}
