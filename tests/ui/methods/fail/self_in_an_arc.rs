use async_tool::async_tool;

use std::sync::Arc;

struct Builder;

#[async_tool]
impl Builder {
    #[async_tool]
    async fn build(self: Arc<Self>) {}
}

fn main() {}
