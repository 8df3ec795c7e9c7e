#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[cfg_attr(unix, serde(default))] release: bool) {}

fn main() {}
