use async_tool::async_tool;

struct Report;

#[async_tool]
async fn build() -> anyhow::Result<Report> {
    todo!()
}

fn main() {}
