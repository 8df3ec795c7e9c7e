use async_tool::async_tool;

#[async_tool()]
async fn größe() {}

fn main() {}
