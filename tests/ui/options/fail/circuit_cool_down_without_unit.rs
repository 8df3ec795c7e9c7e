use async_tool::async_tool;

#[async_tool(circuit(failure_rate = 0.5, window = "1m", cool_down = "30"))]
async fn build() {}

fn main() {}
