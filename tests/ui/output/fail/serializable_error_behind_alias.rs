use async_tool::async_tool;

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Failure;

type Outcome = std::result::Result<u8, Failure>;

#[async_tool]
async fn build() -> Outcome {
    todo!()
}

fn main() {}
