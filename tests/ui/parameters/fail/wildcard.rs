#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(_: String) {}

fn main() {}
