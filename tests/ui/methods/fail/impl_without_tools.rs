use async_tool::async_tool;

struct Builder;

#[async_tool]
impl Builder {
    async fn build(&self) {}
}

fn main() {}
