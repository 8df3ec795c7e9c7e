#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(project: std::borrow::Cow<'_, str>) {}

fn main() {}
