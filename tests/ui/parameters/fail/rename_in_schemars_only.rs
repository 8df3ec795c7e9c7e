#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[schemars(rename = "optimised")] release: bool) {}

fn main() {}
