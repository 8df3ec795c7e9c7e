use async_tool::async_tool;

struct Builder;

#[async_tool]
impl Builder {
    #[async_tool(concurrency_key(args(self)))]
    async fn build(&self, project: String) {
        let _ = project;
    }
}

fn main() {}
