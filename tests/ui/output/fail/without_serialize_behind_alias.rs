use async_tool::async_tool;

#[derive(schemars::JsonSchema)]
struct Report;

type Outcome = Result<Report, String>;

#[async_tool]
async fn build() -> Outcome {
    todo!()
}

fn main() {}
