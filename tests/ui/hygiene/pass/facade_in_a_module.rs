#![deny(warnings)]

mod vendored {
    pub(crate) use async_tool as tools;
}

#[vendored::tools::async_tool(crate = crate::vendored::tools)]
async fn build(project: String) -> String {
    project
}

struct Builder;

#[vendored::tools::async_tool(crate = crate::vendored::tools)]
impl Builder {
    #[vendored::tools::async_tool]
    async fn compile(&self, project: String) -> String {
        project
    }
}

fn main() {}
