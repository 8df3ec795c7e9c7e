use async_tool::async_tool;

struct Builder {
    count: u32,
}

#[async_tool]
impl Builder {
    #[async_tool]
    async fn build(&self) -> u32 {
        let count = self.
    }

    fn count(&self) -> u32 {
        self.count
    }
}

fn caller(builder: &Builder) {
    builder.count();
    let _ = builder.build();
}

fn main() {}
