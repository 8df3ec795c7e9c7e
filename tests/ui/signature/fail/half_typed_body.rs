use async_tool::async_tool;

#[async_tool]
async fn build(project: String) -> usize {
    let length = project.
}

fn caller() {
    let _ = build(String::new());
}

fn main() {}
