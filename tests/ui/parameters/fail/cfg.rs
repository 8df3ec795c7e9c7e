#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[cfg(unix)] project: String) {}

fn main() {}
