use async_tool::async_tool;

struct Workspace {
    name: String,
}

#[async_tool]
async fn build(workspace: &Workspace) -> &str {
    &workspace.name
}

fn main() {}
