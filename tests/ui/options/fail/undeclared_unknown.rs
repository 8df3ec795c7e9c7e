use async_tool::async_tool;

#[async_tool(undeclared = "refuse")]
async fn build() {}

fn main() {}
