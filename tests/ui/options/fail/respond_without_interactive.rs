use async_tool::async_tool;

#[async_tool(names(respond = "answer_build"))]
async fn build() {}

fn main() {}
