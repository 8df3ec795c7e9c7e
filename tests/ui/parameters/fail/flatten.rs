#![allow(unused)]

use async_tool::async_tool;

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Options {
    release: bool,
}

#[async_tool]
async fn build(#[serde(flatten)] options: Options) {}

fn main() {}
