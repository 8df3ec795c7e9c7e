use async_tool::async_tool;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Target;

#[async_tool]
async fn build(release: bool, target: Target) {
    let _ = (release, target);
}

fn main() {}
