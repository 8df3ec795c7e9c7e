use async_tool::async_tool;

#[async_tool]
async fn build() -> impl serde::Serialize {
    0_u8
}

fn main() {}
