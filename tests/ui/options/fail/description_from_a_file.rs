use async_tool::async_tool;

#[doc = include_str!("build.md")]
#[async_tool]
async fn build() {}

fn main() {}
