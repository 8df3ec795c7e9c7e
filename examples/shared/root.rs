//! A directory that callers name paths in, and cannot leave.

use std::io;
use std::path::{Path, PathBuf};

/// A directory that confines what a caller can ask for.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    /// Canonical, so that comparing with it means something.
    path: PathBuf,
}

/// Why a path leads to nothing below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unresolved {
    Outside,
    Missing,
}

impl Root {
    /// Confines callers to `path`, which has to be a directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let open = || {
            let canonical = path.canonicalize()?;
            canonical.read_dir()?;
            Ok(canonical)
        };
        let explain = |error: io::Error| {
            let message = format!("cannot open the directory `{}`: {error}", path.display());
            io::Error::new(error.kind(), message)
        };
        open().map(|path| Self { path }).map_err(explain)
    }

    /// Where `path` leads, which is relative to the root or absolute.
    pub(crate) fn resolve(&self, path: &Path) -> Result<PathBuf, Unresolved> {
        let joined = self.path.join(path);

        // Links and `..` are resolved before the comparison: what counts is
        // where the path leads. For a path that leads nowhere that is where
        // its existing part leads, so that the answer tells nobody what
        // exists outside the root.
        let existing = joined.ancestors().find_map(|part| part.canonicalize().ok());
        if !existing.is_some_and(|existing| existing.starts_with(&self.path)) {
            return Err(Unresolved::Outside);
        }
        joined
            .canonicalize()
            .ok()
            .filter(|path| path.starts_with(&self.path))
            .ok_or(Unresolved::Missing)
    }
}
