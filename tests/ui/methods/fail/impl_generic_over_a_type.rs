use async_tool::async_tool;

struct Builder<T>(T);

#[async_tool]
impl<T> Builder<T> {
    #[async_tool]
    async fn build(&self) {}
}

fn main() {}
