use async_tool::async_tool;

#[async_tool(on_interrupt = "again")]
async fn build() {}

fn main() {}
