#![deny(warnings)]

mod vendored {
    pub(crate) use async_tool as tools;
}

#[vendored::tools::async_tool(crate = crate::vendored::tools)]
async fn build(project: String) -> String {
    project
}

fn main() {}
