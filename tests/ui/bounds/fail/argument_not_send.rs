use async_tool::async_tool;

#[async_tool]
async fn build(shared: std::rc::Rc<u8>) {
    std::future::ready(()).await;
    drop(shared);
}

fn main() {}
