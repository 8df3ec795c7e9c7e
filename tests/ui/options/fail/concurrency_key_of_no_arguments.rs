use async_tool::async_tool;

#[async_tool(concurrency_key(args(service)))]
async fn deploy() {}

fn main() {}
