use async_tool::async_tool;

#[async_tool]
async fn build() -> std::rc::Rc<u8> {
    todo!()
}

fn main() {}
