use async_tool::async_tool;

#[async_tool(max_wait = "15 fortnights")]
async fn build() {}

fn main() {}
