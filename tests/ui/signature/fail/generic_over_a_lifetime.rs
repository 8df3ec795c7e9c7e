use async_tool::async_tool;

#[async_tool]
async fn build<'a>(project: std::borrow::Cow<'static, str>, task: &'a async_tool::TaskContext) {
    let _ = (project, task);
}

fn main() {}
