#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[serde(rename(deserialize = "optimised"))] release: bool) {}

fn main() {}
