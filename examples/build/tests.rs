//! Client and server together, in one process.

use std::future::{pending, ready};

use rmcp::ServiceExt;
use serde::Deserialize;

use super::*;
use crate::build_tools::report::CompileFailure;
use crate::build_tools::tests::Fixture;
use crate::client::Failure;

/// Builds a project with this `src/main.rs`, as the client does.
async fn build_of(
    source: &str,
    interrupted: impl Future<Output = io::Result<()>>,
) -> Snapshot<BuildReport> {
    let fixture = Fixture::new(&[("src/main.rs", source)]);
    let (root, project) = (fixture.directory.path(), fixture.path(""));
    follow_in(root, &project, interrupted).await.unwrap()
}

/// Builds `project` on a server of the projects below `root`.
async fn follow_in(
    root: &Path,
    project: &Path,
    interrupted: impl Future<Output = io::Result<()>>,
) -> Result<Snapshot<BuildReport>, BoxError> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let builder = AsyncTools::builder()
        .single_user()
        .state(Workspace::open(root).unwrap());
    let tools = builder.build().await.unwrap();
    let (server, service) = tokio::join!(BuildServer::connect(near), tools.clone().serve(far));
    let (server, _service) = (server.unwrap(), service.unwrap());

    let cli = Cli::parse_from(["build", "ignored"]);
    let ended = follow(&server, project, &cli, interrupted).await;
    server.close().await;
    tools.shutdown().await;
    ended
}

#[tokio::test]
async fn a_build_ends_with_its_report() {
    let task = build_of("fn main() {}", pending()).await;
    assert_eq!(task.status, Status::Completed);
    assert_eq!(task.result.unwrap().binaries.len(), 1);
}

#[tokio::test]
async fn a_project_that_does_not_compile_fails_with_the_compilers_errors() {
    let task = build_of("fn main() { missing(); }", pending()).await;
    assert_eq!(task.status, Status::Failed);
    let failure = task.error.unwrap();
    assert_eq!(failure.code, "compile_failed");
    let details = CompileFailure::deserialize(&failure.details).unwrap();
    assert_eq!(details.errors.len(), 1);
    assert!(details.errors[0].rendered.starts_with("error[E0425]"));
    assert!(details.errors[0].rendered.contains("src/main.rs:1:13"));
}

#[tokio::test]
async fn an_interrupted_build_is_cancelled() {
    let task = build_of("fn main() {}", ready(Ok(()))).await;
    assert_eq!(task.status, Status::Cancelled);
    assert_eq!(task.message, "interrupted with Ctrl-C");
    assert!(task.result.is_none() && task.error.is_none());
}

#[tokio::test]
async fn a_project_outside_the_root_fails() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let task = follow_in(root.path(), other.path(), pending())
        .await
        .unwrap();
    assert_eq!(task.error.unwrap().code, "outside_root");
}

#[tokio::test]
async fn a_refused_call_is_an_error_with_the_servers_words() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let builder = AsyncTools::builder()
        .single_user()
        .state(Workspace::open(".").unwrap());
    let tools = builder.build().await.unwrap();
    let (server, service) = tokio::join!(BuildServer::connect(near), tools.serve(far));
    let (server, _service) = (server.unwrap(), service.unwrap());

    let asked = server.status::<BuildReport>("no task", REFRESH).await;
    let failure = asked.unwrap_err().downcast::<Failure>().unwrap();
    assert_eq!(failure.code, "task_not_found");
}
