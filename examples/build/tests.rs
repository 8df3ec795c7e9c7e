//! Client and server together, in one process.

use std::future::{pending, ready};

use serde::Deserialize;

use super::*;
use crate::build_tools::report::CompileFailure;
use crate::build_tools::tests::Fixture;

/// Builds a project with this `src/main.rs`, as the client does.
async fn build_of(
    source: &str,
    interrupted: impl Future<Output = ()>,
) -> Result<BuildReport, CallError> {
    let fixture = Fixture::new(&[("src/main.rs", source)]);
    let (root, project) = (fixture.directory.path(), fixture.path(""));
    follow_in(root, project, interrupted).await
}

/// Builds `project` on a server of the projects below `root`.
async fn follow_in(
    root: &Path,
    project: PathBuf,
    interrupted: impl Future<Output = ()>,
) -> Result<BuildReport, CallError> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let builder = AsyncTools::builder()
        .single_user()
        .state(Workspace::open(root).unwrap());
    let tools = builder.build().await.unwrap();
    let (client, service) = tokio::join!(().serve(near), tools.clone().serve(far));
    let (client, _service) = (TaskClient::new(client.unwrap()), service.unwrap());

    let input = BuildInput {
        project,
        release: false,
        features: Vec::new(),
    };
    let ended = follow(&client.with_refresh(REFRESH), input, interrupted).await;
    tools.shutdown().await;
    ended
}

#[tokio::test]
async fn a_build_ends_with_its_report() {
    let report = build_of("fn main() {}", pending()).await.unwrap();
    assert_eq!(report.binaries.len(), 1);
}

#[tokio::test]
async fn a_project_that_does_not_compile_fails_with_the_compilers_errors() {
    let ended = build_of("fn main() { missing(); }", pending()).await;
    let CallError::Failed { failure, .. } = ended.unwrap_err() else {
        panic!("not failed");
    };
    assert_eq!(failure.code, "compile_failed");
    let details = CompileFailure::deserialize(failure.details.unwrap()).unwrap();
    assert_eq!(details.errors.len(), 1);
    assert!(details.errors[0].rendered.starts_with("error[E0425]"));
    assert!(details.errors[0].rendered.contains("src/main.rs:1:13"));
}

#[tokio::test]
async fn an_interrupted_build_is_cancelled() {
    let ended = build_of("fn main() {}", ready(())).await;
    let CallError::Cancelled { reason, .. } = ended.unwrap_err() else {
        panic!("not cancelled");
    };
    assert_eq!(reason, "interrupted with Ctrl-C");
}

#[tokio::test]
async fn a_project_outside_the_root_fails() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ended = follow_in(root.path(), other.path().to_owned(), pending()).await;
    let CallError::Failed { failure, .. } = ended.unwrap_err() else {
        panic!("not failed");
    };
    assert_eq!(failure.code, "outside_root");
}
