use async_tool::async_tool;

struct Builder<'a>(&'a str);

#[async_tool]
impl<'a> Builder<'a> {
    #[async_tool]
    async fn build(&self) {}
}

fn main() {}
