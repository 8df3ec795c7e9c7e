use async_tool::async_tool;

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Failure;

#[async_tool]
async fn build() -> Result<(), Failure> {
    todo!()
}

fn main() {}
