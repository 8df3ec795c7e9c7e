use async_tool::async_tool;

#[async_tool(retention = "0s")]
async fn build() {}

fn main() {}
