use async_tool::async_tool;

#[derive(serde::Serialize)]
struct Report;

#[async_tool]
async fn build() -> Report {
    todo!()
}

fn main() {}
