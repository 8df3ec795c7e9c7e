#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build((project, release): (String, bool)) {}

fn main() {}
