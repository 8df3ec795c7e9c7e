use async_tool::async_tool;

#[async_tool(annotations(readonly))]
async fn build() {}

fn main() {}
