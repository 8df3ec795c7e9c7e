use async_tool::async_tool;

struct Builder;

#[async_tool]
impl Builder {
    #[async_tool]
    async fn build(&self) {
        let shared = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(shared);
    }
}

fn main() {}
