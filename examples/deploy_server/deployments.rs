//! What the server deploys, and where.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::artifact::Artifact;
use crate::error::DeployError;
use crate::name::Name;
use crate::root::{Root, Unresolved};
use crate::service::Service;
use crate::stage::Limits;

/// All services below a root, and what may be deployed to them.
#[derive(Debug, Clone)]
pub(crate) struct Deployments {
    root: PathBuf,
    artifacts: Root,
    pub(crate) limits: Limits,
}

impl Deployments {
    /// Deploys what is in `artifacts` below `root`.
    pub(crate) fn open(root: &Path, artifacts: &Path) -> io::Result<Self> {
        let confined = Root::open(artifacts)?;
        let explain = |error: io::Error| {
            let message = format!("cannot deploy to `{}`: {error}", root.display());
            io::Error::new(error.kind(), message)
        };
        let open = || {
            fs::create_dir_all(root)?;
            root.canonicalize()
        };
        let root = open().map_err(explain)?;
        if artifacts.canonicalize()?.starts_with(&root) {
            let message = "the directory of artifacts is in the root, where nothing is an artifact";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self {
            root,
            artifacts: confined,
            limits: Limits {
                bytes: 4 << 30,
                entries: 100_000,
            },
        })
    }

    pub(crate) fn service(&self, environment: &Name, service: &Name) -> Service {
        Service::new(&self.root, environment, service)
    }

    /// The artifact at `path`, which is relative to the directory of artifacts.
    pub(crate) fn artifact(&self, path: &Path) -> Result<Artifact, DeployError> {
        let asked = || path.display().to_string();
        let found = self.artifacts.resolve(path).map_err(|why| match why {
            Unresolved::Outside => DeployError::OutsideArtifacts(asked()),
            Unresolved::Missing => DeployError::NoArtifact(asked()),
        })?;
        if self.root.starts_with(&found) {
            return Err(DeployError::HoldsRoot(asked()));
        }
        // Not even to look at: this process has the tasks' database open, and
        // closing the file once more would drop the locks that it holds on it.
        if found.starts_with(&self.root) {
            return Err(DeployError::BelowRoot(asked()));
        }
        Artifact::at(found, path)
    }
}
