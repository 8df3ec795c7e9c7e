#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[serde(default)] task: &async_tool::TaskContext) {}

fn main() {}
