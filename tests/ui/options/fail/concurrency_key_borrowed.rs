use async_tool::async_tool;

#[async_tool(concurrency_key(args(service, context)))]
async fn deploy(service: String, context: &async_tool::TaskContext) {
    let _ = (service, context);
}

fn main() {}
