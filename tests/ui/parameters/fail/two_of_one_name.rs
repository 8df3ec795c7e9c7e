#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[serde(rename = "to")] from: String, to: String) {}

fn main() {}
