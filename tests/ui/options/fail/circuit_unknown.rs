use async_tool::async_tool;

#[async_tool(circuit(rate = 0.5))]
async fn build() {}

fn main() {}
