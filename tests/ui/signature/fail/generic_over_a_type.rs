use async_tool::async_tool;

#[async_tool]
async fn build<T>(project: T) {
    let _ = project;
}

fn main() {}
