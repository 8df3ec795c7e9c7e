//! Which directories the server builds in.

use std::io;
use std::path::{Path, PathBuf};

use async_tool::ToolError;

use super::root::{Root, Unresolved};

/// The directory whose projects may be built.
///
/// It confines what a caller can *ask for*. It is no sandbox: a project's build
/// scripts and tests run with the rights of the server.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: Root,
}

/// A directory below the root that holds a `Cargo.toml`.
#[derive(Debug)]
pub(crate) struct Project {
    directory: PathBuf,
}

/// Why a path is no project of the workspace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    #[error("`{0}` is outside the directory that this server builds in")]
    OutsideRoot(String),
    #[error("there is no directory `{0}`")]
    NotFound(String),
    #[error("`{0}` has no Cargo.toml")]
    NotAProject(String),
}

impl Workspace {
    /// Builds what is in `root`.
    pub(crate) fn open(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = Root::open(root.as_ref())?;
        Ok(Self { root })
    }

    /// The project at `path`, which is relative to the root or absolute.
    pub(crate) fn project(&self, path: &Path) -> Result<Project, ProjectError> {
        let asked = || path.display().to_string();
        let directory = self.root.resolve(path).map_err(|why| match why {
            Unresolved::Outside => ProjectError::OutsideRoot(asked()),
            Unresolved::Missing => ProjectError::NotFound(asked()),
        })?;
        if !directory.is_dir() {
            return Err(ProjectError::NotFound(asked()));
        }
        if !directory.join("Cargo.toml").is_file() {
            return Err(ProjectError::NotAProject(asked()));
        }
        Ok(Project { directory })
    }
}

impl Project {
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl From<ProjectError> for ToolError {
    fn from(error: ProjectError) -> Self {
        let code = match &error {
            ProjectError::OutsideRoot(_) => "outside_root",
            ProjectError::NotFound(_) => "project_not_found",
            ProjectError::NotAProject(_) => "not_a_project",
        };
        Self::new(error.to_string()).with_code(code)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A root with a project, an empty directory and a neighbour outside.
    fn workspace() -> (tempfile::TempDir, Workspace) {
        let directory = tempfile::tempdir().unwrap();
        for project in ["root/app", "outside"] {
            fs::create_dir_all(directory.path().join(project)).unwrap();
            fs::write(directory.path().join(project).join("Cargo.toml"), "").unwrap();
        }
        fs::create_dir(directory.path().join("root/empty")).unwrap();
        let workspace = Workspace::open(directory.path().join("root")).unwrap();
        (directory, workspace)
    }

    #[test]
    fn a_project_is_found_by_relative_and_by_absolute_path() {
        let (directory, workspace) = workspace();
        let expected = directory.path().join("root/app").canonicalize().unwrap();
        for path in ["app", "./app", "empty/../app", expected.to_str().unwrap()] {
            let project = workspace.project(Path::new(path)).unwrap();
            assert_eq!(project.directory(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_outside_is_refused_whether_it_exists_or_not() {
        let (directory, workspace) = workspace();
        let absolute = directory.path().join("outside");
        for path in [
            "..",
            "../outside",
            "../missing",
            "app/../../outside",
            "/",
            "/missing",
            absolute.to_str().unwrap(),
        ] {
            let error = workspace.project(Path::new(path)).unwrap_err();
            assert!(
                matches!(error, ProjectError::OutsideRoot(_)),
                "{path}: {error}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_outside_is_refused() {
        let (directory, workspace) = workspace();
        let link = directory.path().join("root/link");
        std::os::unix::fs::symlink(directory.path().join("outside"), link).unwrap();
        for path in ["link", "link/missing", "app/../link"] {
            let error = workspace.project(Path::new(path)).unwrap_err();
            assert!(
                matches!(error, ProjectError::OutsideRoot(_)),
                "{path}: {error}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let (_directory, workspace) = workspace();
        let error = workspace.project(Path::new("nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "there is no directory `nowhere`");
        let error = workspace.project(Path::new("app/Cargo.toml")).unwrap_err();
        assert!(matches!(error, ProjectError::NotFound(_)), "{error}");
        let error = workspace.project(Path::new("empty")).unwrap_err();
        assert_eq!(error.to_string(), "`empty` has no Cargo.toml");
    }
}
