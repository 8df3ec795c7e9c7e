use async_tool::async_tool;

struct Builder;

#[async_tool]
impl Builder {
    #[cfg_attr(unix, async_tool(timeout = "5m"))]
    async fn build(&self, /** What. */ project: String) {
        let _ = project;
    }
}

fn main() {}
