use async_tool::async_tool;

#[async_tool(circuit = true)]
async fn build() {}

fn main() {}
