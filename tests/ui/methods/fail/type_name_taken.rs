use async_tool::async_tool;

struct Left;
struct Right;

#[async_tool]
impl Left {
    #[async_tool]
    async fn build(&self) {}
}

#[async_tool]
impl Right {
    #[async_tool(name = "build_right")]
    async fn build(&self) {}
}

fn main() {}
