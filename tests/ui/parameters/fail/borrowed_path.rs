#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(project: &std::path::Path) {}

fn main() {}
