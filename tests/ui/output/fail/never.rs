use async_tool::async_tool;

#[async_tool]
async fn build() -> ! {
    todo!()
}

fn main() {}
