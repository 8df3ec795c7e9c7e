use async_tool::async_tool;

struct Builder(std::cell::Cell<u8>);

#[async_tool]
impl Builder {
    #[async_tool]
    async fn build(&self) {
        std::future::ready(()).await;
        self.0.set(1);
    }
}

fn main() {}
