use async_tool::async_tool;

struct Builder;

impl Builder {
    #[async_tool]
    async fn build(&self) {}
}

fn main() {}
