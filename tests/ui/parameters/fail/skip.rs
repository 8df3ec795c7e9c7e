#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[serde(skip)] release: bool) {}

fn main() {}
