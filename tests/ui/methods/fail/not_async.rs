use async_tool::async_tool;

struct Builder;

#[async_tool]
impl Builder {
    #[async_tool]
    fn build(&self) {}
}

fn main() {}
