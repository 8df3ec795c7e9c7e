#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(workspace: &dyn std::any::Any) {}

fn main() {}
