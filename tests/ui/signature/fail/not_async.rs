use async_tool::async_tool;

#[async_tool]
fn build() {}

fn main() {}
