use async_tool::async_tool;

#[async_tool]
async unsafe fn build() {}

fn main() {}
