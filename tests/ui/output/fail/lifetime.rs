use async_tool::async_tool;

struct Workspace;

#[async_tool]
async fn build(workspace: &Workspace) -> Result<std::borrow::Cow<'_, str>, String> {
    let _ = workspace;
    Ok("".into())
}

fn main() {}
