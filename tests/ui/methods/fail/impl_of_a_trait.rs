use async_tool::async_tool;

struct Builder;

trait Builds {
    fn build(&self) -> impl Future<Output = ()>;
}

#[async_tool]
impl Builds for Builder {
    #[async_tool]
    async fn build(&self) {}
}

fn main() {}
