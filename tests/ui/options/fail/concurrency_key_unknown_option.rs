use async_tool::async_tool;

#[async_tool(concurrency_key(arg(service)))]
async fn deploy(environment: String, service: String) {
    let _ = (environment, service);
}

fn main() {}
