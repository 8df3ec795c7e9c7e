#![deny(warnings)]

use async_tool::async_tool;

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Project {
    name: String,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Report {
    name: String,
}

struct Workspace;

#[derive(Debug)]
struct Failure;

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failure {}

#[async_tool]
async fn build(project: Project, workspace: &Workspace) -> Result<Report, Failure> {
    let Workspace = workspace;
    if project.name.is_empty() {
        return Err(Failure);
    }
    Ok(Report { name: project.name })
}

#[async_tool]
impl Workspace {
    #[async_tool]
    async fn compile(&self, project: Project) -> Result<Report, Failure> {
        Ok(Report { name: project.name })
    }
}

fn main() {}
