#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(projects: Vec<&str>) {}

fn main() {}
