use async_tool::async_tool;

use std::cell::Cell;

#[async_tool]
async fn build(counter: &Cell<u8>) {
    std::future::ready(()).await;
    counter.set(1);
}

fn main() {}
