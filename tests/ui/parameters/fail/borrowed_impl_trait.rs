#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(workspace: &impl Send) {}

fn main() {}
