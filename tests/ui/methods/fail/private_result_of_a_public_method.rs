use async_tool::async_tool;

struct Builder;

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Report;

#[async_tool]
impl Builder {
    #[async_tool]
    pub async fn build(&self) -> Report {
        Report
    }
}

fn main() {}
