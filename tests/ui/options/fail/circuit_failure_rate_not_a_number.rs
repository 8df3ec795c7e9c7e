use async_tool::async_tool;

#[async_tool(circuit(failure_rate = "50%", window = "1m", cool_down = "30s"))]
async fn build() {}

fn main() {}
