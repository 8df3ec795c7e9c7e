use async_tool::async_tool;

#[async_tool(timeout = "200years")]
async fn build() {}

fn main() {}
