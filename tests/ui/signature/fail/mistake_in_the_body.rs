use async_tool::async_tool;

#[async_tool]
async fn build(project: String) -> usize {
    project.length()
}

fn main() {}
