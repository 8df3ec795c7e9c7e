use async_tool::async_tool;

struct Failure;

#[async_tool]
async fn build() -> Result<(), Failure> {
    todo!()
}

fn main() {}
