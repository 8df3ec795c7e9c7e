#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[serde(defualt)] release: bool) {}

fn main() {}
