#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(#[serde(alias = "callback_url")] webhook: String) {}

fn main() {}
