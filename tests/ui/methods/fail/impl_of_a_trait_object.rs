use async_tool::async_tool;

trait Builds: Sync {}

#[async_tool]
impl dyn Builds {
    #[async_tool]
    async fn build(&self) {}
}

fn main() {}
