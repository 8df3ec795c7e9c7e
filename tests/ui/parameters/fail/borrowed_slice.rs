#![allow(unused)]

use async_tool::async_tool;

#[async_tool]
async fn build(features: &[String]) {}

fn main() {}
