use async_tool::async_tool;

#[async_tool(
    fleet_concurrency = 4,
    circuit(failure_rate = 0.5),
    interactive,
    surface(native)
)]
async fn build() {}

fn main() {}
