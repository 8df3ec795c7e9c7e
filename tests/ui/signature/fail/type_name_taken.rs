use async_tool::async_tool;

struct BuildInput;

#[async_tool]
async fn build() {}

fn main() {}
