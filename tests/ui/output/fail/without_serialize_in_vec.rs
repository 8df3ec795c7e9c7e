use async_tool::async_tool;

#[derive(schemars::JsonSchema)]
struct Report;

#[async_tool]
async fn build() -> Vec<Report> {
    todo!()
}

fn main() {}
