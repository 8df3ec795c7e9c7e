use async_tool::async_tool;

#[async_tool]
async fn build<const N: usize>(numbers: [u8; N]) {
    let _ = numbers;
}

fn main() {}
