use async_tool::async_tool;

#[async_tool(timeuot = "15m", concurrency = 2, name = "build it")]
fn build(project: &str, idempotency_key: String) -> impl Sized {
    let _ = (project, idempotency_key);
}

fn caller() {
    build("the function is there all the same", String::new());
}

fn main() {}
