//! A program whose author forbids what an expansion might want to allow.
#![forbid(missing_docs, unsafe_code, unused_imports, unreachable_pub, deprecated)]

use async_tool::async_tool;

/// Compile a project.
#[async_tool]
pub async fn build(project: String) -> usize {
    project.len()
}

/// Builds.
pub struct Builder;

#[async_tool]
impl Builder {
    /// Compile a project.
    #[async_tool]
    pub async fn compile(&self, project: String) -> usize {
        project.len()
    }
}

fn main() {}
