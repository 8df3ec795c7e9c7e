#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(r#callback_url: String) {}

fn main() {}
