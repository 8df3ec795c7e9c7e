//! Measures and hashes what was built.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use async_tool::{Cancelled, TaskContext, ToolError};
use sha2::{Digest, Sha256};

use super::compilation::Executable;
use super::report::Binary;

/// Why a binary could not be hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("a binary cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("hashing did not end: {0}")]
    Join(#[from] tokio::task::JoinError),
}

/// Describes each binary. Hashing blocks its thread, so it is done on one that
/// may be blocked, where it also has to look for cancellation itself.
pub(crate) async fn package(
    executables: Vec<Executable>,
    task: &TaskContext,
) -> Result<Vec<Binary>, PackageError> {
    let task = task.clone();
    let hashing = tokio::task::spawn_blocking(move || {
        let sizes = executables.iter().map(|one| Ok(one.path.metadata()?.len()));
        let total = sizes.sum::<io::Result<u64>>()?;
        let mut done = 0;
        let describe = |executable| {
            let binary = describe(executable, &task, done, total)?;
            done += binary.size;
            Ok(binary)
        };
        executables.iter().map(describe).collect()
    });
    hashing.await?
}

/// Describes a binary that begins after `done` of `total` bytes.
fn describe(
    executable: &Executable,
    task: &TaskContext,
    done: u64,
    total: u64,
) -> Result<Binary, PackageError> {
    task.progress()
        .message(format!("hashing {}", executable.name));
    let mut hash = Sha256::new();
    let size = read(&executable.path, |chunk, size| {
        hash.update(chunk);
        #[expect(clippy::cast_precision_loss, reason = "a fraction for display")]
        task.progress()
            .fraction((done + size) as f64 / total as f64);
        Ok(task.check_cancelled()?)
    })?;
    Ok(Binary {
        name: executable.name.clone(),
        path: executable.path.display().to_string(),
        size,
        sha256: hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    })
}

/// Reads a file in chunks, each given to `each` with the size so far; answers
/// with the size in all.
fn read(
    path: &Path,
    mut each: impl FnMut(&[u8], u64) -> Result<(), PackageError>,
) -> Result<u64, PackageError> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(size),
            bytes => {
                size += bytes as u64;
                each(&chunk[..bytes], size)?;
            }
        }
    }
}

impl From<PackageError> for ToolError {
    fn from(error: PackageError) -> Self {
        Self::new(error.to_string())
    }
}
