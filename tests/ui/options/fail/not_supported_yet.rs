use async_tool::async_tool;

#[async_tool(circuit(failure_rate = 0.5))]
async fn build() {}

fn main() {}
