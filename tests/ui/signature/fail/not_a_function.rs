use async_tool::async_tool;

#[async_tool]
struct Build;

fn main() {}
