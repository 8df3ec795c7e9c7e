use async_tool::async_tool;

#[async_tool]
async fn build() {
    let shared = std::rc::Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
}

fn main() {}
