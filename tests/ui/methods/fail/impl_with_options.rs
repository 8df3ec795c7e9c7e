use async_tool::async_tool;

struct Builder;

#[async_tool(timeout = "5m", crate = ::async_tool, annotations(read_only))]
impl Builder {
    #[async_tool]
    async fn build(&self) {}
}

fn main() {}
