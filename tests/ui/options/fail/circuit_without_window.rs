use async_tool::async_tool;

#[async_tool(circuit(failure_rate = 0.5, cool_down = "30s"))]
async fn build() {}

fn main() {}
