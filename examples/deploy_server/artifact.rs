//! What is deployed: a directory, or a `.tar.gz`.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use async_tool::TaskContext;
use serde::{Deserialize, Serialize};

use crate::archive;
use crate::error::{At, DeployError};
use crate::stage::{Limits, Stage};

/// A directory or an archive below the directory of artifacts.
#[derive(Debug)]
pub(crate) enum Artifact {
    Directory(PathBuf),
    Archive(PathBuf),
}

/// An artifact that was looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Verified {
    /// SHA-256 of an archive, in hexadecimal.
    pub(crate) sha256: Option<String>,
    /// How many bytes there are to read.
    pub(crate) bytes: u64,
}

impl Artifact {
    /// What is at `path`, which the caller called `asked`.
    pub(crate) fn at(path: PathBuf, asked: &Path) -> Result<Self, DeployError> {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if path.is_dir() {
            Ok(Self::Directory(path))
        } else if path.is_file() && (name.ends_with(b".tar.gz") || name.ends_with(b".tgz")) {
            Ok(Self::Archive(path))
        } else {
            Err(DeployError::NoKind(asked.display().to_string()))
        }
    }

    /// Measures the artifact, and compares it with the hash that the caller
    /// expects.
    pub(crate) fn verify(
        &self,
        expected: Option<&str>,
        limits: Limits,
        task: &TaskContext,
    ) -> Result<Verified, DeployError> {
        match (self, expected) {
            (Self::Directory(_), Some(_)) => Err(DeployError::NotHashable),
            (Self::Directory(path), None) => Ok(Verified {
                sha256: None,
                bytes: measure(path, limits, task)?,
            }),
            (Self::Archive(path), expected) => {
                let file = File::open(path).at(path)?;
                let bytes = file.metadata().at(path)?.len();
                if bytes > limits.bytes {
                    return Err(DeployError::TooManyBytes(limits.bytes));
                }
                task.progress().total(bytes);
                let found = archive::sha256(file, task)?;
                match expected.filter(|expected| !expected.eq_ignore_ascii_case(&found)) {
                    Some(expected) => Err(DeployError::Mismatch {
                        expected: expected.to_owned(),
                        found,
                    }),
                    None => Ok(Verified {
                        sha256: Some(found),
                        bytes,
                    }),
                }
            }
        }
    }

    /// Puts all of the artifact on the stage. What was verified, maybe by an
    /// attempt before this one, has to be what is found.
    pub(crate) fn unpack(
        &self,
        verified: &Verified,
        stage: &mut Stage,
        task: &TaskContext,
    ) -> Result<(), DeployError> {
        task.progress().total(verified.bytes);
        let sha256 = match self {
            Self::Directory(path) => {
                walk(path, Path::new(""), &mut |from, to| {
                    copy(from, to, stage, task)
                })?;
                None
            }
            Self::Archive(path) => {
                let archive = File::open(path).at(path)?;
                Some(archive::unpack(archive, stage, task)?)
            }
        };
        if sha256 != verified.sha256 {
            return Err(DeployError::Changed);
        }
        stage.check_links()
    }
}

/// How many bytes a directory holds, without reading them.
fn measure(directory: &Path, limits: Limits, task: &TaskContext) -> Result<u64, DeployError> {
    let (mut bytes, mut entries) = (0, 0);
    walk(directory, Path::new(""), &mut |from, _| {
        task.check_cancelled()?;
        let metadata = from.symlink_metadata().at(from)?;
        bytes += if metadata.is_file() {
            metadata.len()
        } else {
            0
        };
        entries += 1;
        if bytes > limits.bytes {
            return Err(DeployError::TooManyBytes(limits.bytes));
        }
        if entries > limits.entries {
            return Err(DeployError::TooManyEntries(limits.entries));
        }
        Ok(())
    })?;
    Ok(bytes)
}

/// Shows all that is in a directory to `each`, with the path within it;
/// directories come before what they hold.
fn walk(
    directory: &Path,
    within: &Path,
    each: &mut impl FnMut(&Path, &Path) -> Result<(), DeployError>,
) -> Result<(), DeployError> {
    for entry in fs::read_dir(directory).at(directory)? {
        let entry = entry.at(directory)?;
        let (from, to) = (entry.path(), within.join(entry.file_name()));
        each(&from, &to)?;
        if entry.file_type().at(&from)?.is_dir() {
            walk(&from, &to, each)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, stage: &mut Stage, task: &TaskContext) -> Result<(), DeployError> {
    let metadata = from.symlink_metadata().at(from)?;
    let mode = metadata.permissions().mode();
    if metadata.is_dir() {
        stage.directory(to, mode)
    } else if metadata.is_symlink() {
        stage.link(to, &from.read_link().at(from)?)
    } else if metadata.is_file() {
        let mut file = File::open(from).at(from)?;
        // Somebody may have put a link there since it was looked at.
        if file.metadata().at(from)?.ino() != metadata.ino() {
            return Err(DeployError::Changed);
        }
        let size = metadata.len();
        stage.file(to, mode, size, &mut file)?;
        task.progress().inc(size);
        Ok(())
    } else {
        let why = "is neither a file nor a directory nor a link";
        Err(DeployError::refused(to, why))
    }
}
