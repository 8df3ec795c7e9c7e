use async_tool::async_tool;

#[async_tool(on_interrupt)]
async fn build() {}

fn main() {}
