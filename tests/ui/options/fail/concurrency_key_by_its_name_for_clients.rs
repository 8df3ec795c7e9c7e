use async_tool::async_tool;

#[async_tool(concurrency_key(args(from)))]
async fn copy(#[serde(rename = "from")] source: String) {
    let _ = source;
}

fn main() {}
