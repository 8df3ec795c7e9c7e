use async_tool::async_tool;

struct Builder;

#[async_tool]
impl Builder {
    #[async_tool]
    #[async_tool]
    async fn build(&self) {}
}

fn main() {}
