//! Survives a power cut: what has been handed to the system, and is on the disk.

use std::fs::{self, File};
use std::path::Path;

use async_tool::TaskContext;

use crate::error::{At, DeployError};

/// Has all of a directory on the disk.
pub(crate) fn sync_all(directory: &Path, task: &TaskContext) -> Result<(), DeployError> {
    for entry in fs::read_dir(directory).at(directory)? {
        task.check_cancelled()?;
        let entry = entry.at(directory)?;
        let (path, kind) = (entry.path(), entry.file_type().at(entry.path())?);
        if kind.is_dir() {
            sync_all(&path, task)?;
        } else if kind.is_file() {
            sync(&path)?;
        }
    }
    sync(directory)
}

pub(crate) fn sync(path: &Path) -> Result<(), DeployError> {
    File::open(path).and_then(|file| file.sync_all()).at(path)
}
