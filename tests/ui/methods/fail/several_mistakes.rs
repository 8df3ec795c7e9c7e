use async_tool::async_tool;

struct Builder;

#[async_tool(queue = 3)]
impl Builder {
    #[async_tool(timeout = "soon", nam = "x")]
    async fn build(&mut self, project: &str) {
        let _ = project;
    }

    #[async_tool]
    fn clean(&self) {}

    fn helper(&self) {}
}

fn caller(builder: &mut Builder) {
    builder.helper();
    builder.clean();
    let _ = builder.build("");
}

fn main() {}
