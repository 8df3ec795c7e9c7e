#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[serde(rename = "max_wait_seconds")] patience: u32) {}

fn main() {}
