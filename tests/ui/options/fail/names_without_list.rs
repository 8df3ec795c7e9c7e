use async_tool::async_tool;

#[async_tool(names = "start_build")]
async fn build() {}

fn main() {}
