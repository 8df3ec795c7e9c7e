use async_tool::async_tool;

#[async_tool]
async fn build(task: async_tool::TaskContext) {
    let _ = task;
}

fn main() {}
