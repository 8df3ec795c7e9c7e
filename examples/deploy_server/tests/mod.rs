//! The tools as the ordinary functions that they are, in temporary directories,
//! and as servers execute them.

mod approval;
mod http;
mod killed;
mod live;
mod native;
mod restarted;
mod served;
mod unpack;

use std::fs;
use std::path::{Path, PathBuf};

use async_tool::{TaskContext, ToolError};

use crate::check::HealthCheck;
use crate::deployments::Deployments;
use crate::name::Name;
use crate::service::Service;
use crate::tools::{Deployed, RolledBack, deploy, rollback};

/// A server's directories, with the artifact `app` whose one file says which
/// version it is.
pub(crate) struct Fixture {
    directory: tempfile::TempDir,
    pub(crate) deployments: Deployments,
    environment: &'static str,
}

/// The arguments that tests vary.
struct Call {
    artifact: &'static str,
    sha256: Option<String>,
    command: Option<Vec<String>>,
    timeout_seconds: u64,
    keep: usize,
    task: TaskContext,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            artifact: "app",
            sha256: None,
            command: None,
            timeout_seconds: 60,
            keep: 5,
            task: TaskContext::detached("deploy"),
        }
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::of("test")
    }

    fn of(environment: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (root, artifacts) = (directory.path().join("root"), directory.path().join("in"));
        fs::create_dir(&artifacts).unwrap();
        let deployments = Deployments::open(&root, &artifacts).unwrap();
        let fixture = Self {
            directory,
            deployments,
            environment,
        };
        fixture.version("0");
        fixture
    }

    /// A path in the directory of artifacts.
    pub(crate) fn artifact(&self, path: &str) -> PathBuf {
        self.directory.path().join("in").join(path)
    }

    /// Makes `app` this version.
    fn version(&self, version: &str) {
        fs::create_dir_all(self.artifact("app/bin")).unwrap();
        fs::write(self.artifact("app/version"), version).unwrap();
        fs::write(self.artifact("app/bin/run"), version).unwrap();
    }

    /// The directory of the service.
    fn path(&self, path: &str) -> PathBuf {
        let root = self.directory.path().join("root");
        root.join(self.environment).join("web").join(path)
    }

    fn service(&self) -> Service {
        let environment = name(self.environment);
        self.deployments.service(&environment, &name("web"))
    }

    async fn deploy(&self, call: Call) -> Result<Deployed, ToolError> {
        deploy_to(self.environment, &self.deployments, call).await
    }

    async fn rollback(&self, release: Option<u64>) -> Result<RolledBack, ToolError> {
        let task = TaskContext::detached("rollback");
        let (environment, service) = (name(self.environment), name("web"));
        rollback(environment, service, release, &task, &self.deployments).await
    }

    /// What is in the directory of the service, and which releases there are.
    fn listing(&self) -> Vec<String> {
        let mut names = names(&self.path(""));
        names.extend(names_of_releases(self));
        names.sort();
        names
    }

    fn live_version(&self) -> String {
        fs::read_to_string(self.path("current/version")).unwrap()
    }
}

async fn deploy_to(
    environment: &str,
    deployments: &Deployments,
    call: Call,
) -> Result<Deployed, ToolError> {
    let health_check = call.command.map(|command| HealthCheck {
        command,
        timeout_seconds: call.timeout_seconds,
    });
    deploy(
        name(environment),
        name("web"),
        call.artifact.into(),
        call.sha256,
        health_check,
        call.keep,
        &call.task,
        deployments,
    )
    .await
}

fn name(name: &str) -> Name {
    Name::try_from(name.to_owned()).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

fn names_of_releases(fixture: &Fixture) -> Vec<String> {
    let names = names(&fixture.path("releases")).into_iter();
    names.map(|name| format!("releases/{name}")).collect()
}

/// A deployment that this shell script checks.
fn checked(script: impl Into<String>) -> Call {
    Call {
        command: Some(vec!["sh".to_owned(), "-c".to_owned(), script.into()]),
        ..Call::default()
    }
}
