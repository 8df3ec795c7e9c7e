use async_tool::async_tool;

#[async_tool(
    fleet_concurrency = 4,
    concurrency_key(group = "project", args(project)),
    on_interrupt = "retry",
    retry(attempts = 3),
    dedupe = "arguments",
    circuit(failure_rate = 0.5),
    interactive,
    surface(native)
)]
async fn build() {}

fn main() {}
