use async_tool::async_tool;

#[async_tool]
async extern "C" fn build() {}

fn main() {}
