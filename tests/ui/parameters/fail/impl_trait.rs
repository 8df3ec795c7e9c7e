#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(project: impl Into<String>) {}

fn main() {}
