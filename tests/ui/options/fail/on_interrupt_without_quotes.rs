use async_tool::async_tool;

#[async_tool(on_interrupt = retry)]
async fn build() {}

fn main() {}
