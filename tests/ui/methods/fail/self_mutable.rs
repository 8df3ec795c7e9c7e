use async_tool::async_tool;

struct Builder;

#[async_tool]
impl Builder {
    #[async_tool]
    async fn build(&mut self, times: u32) {
        let _ = times;
    }
}

fn main() {}
