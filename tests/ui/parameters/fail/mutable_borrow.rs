#![allow(unused)]

use async_tool::async_tool;

struct Workspace;

#[async_tool]
async fn build(workspace: &mut Workspace) {}

fn main() {}
