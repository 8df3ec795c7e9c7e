use async_tool::async_tool;

trait Builds {
    #[async_tool]
    async fn build(&self) {}
}

fn main() {}
