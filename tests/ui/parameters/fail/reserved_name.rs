#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(idempotency_key: String) {}

fn main() {}
