//! Unpacks a `.tar.gz`.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use async_tool::TaskContext;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use tar::{Archive, Entry, EntryType};

use crate::error::DeployError;
use crate::stage::Stage;

/// How much of the archive may describe the next entry: a header, and long
/// names, which are read into memory.
const MAX_DESCRIPTION: u64 = 256 * 1024;
/// How much may follow the last entry. Archives are filled up to whole records.
const MAX_TRAILER: u64 = 16 * 1024 * 1024;

/// Unpacks an archive, and answers with the SHA-256 of all that was read of it.
pub(crate) fn unpack(
    archive: File,
    stage: &mut Stage,
    task: &TaskContext,
) -> Result<String, DeployError> {
    let mut hashed = Hashed::new(archive, task);
    let allowance = Cell::new(0);
    let mut unpacked = Metered {
        inner: GzDecoder::new(&mut hashed),
        allowance: &allowance,
    };

    let mut archive = Archive::new(&mut unpacked);
    let mut entries = archive.entries().map_err(DeployError::Unreadable)?;
    loop {
        allowance.set(MAX_DESCRIPTION);
        let Some(entry) = entries.next() else { break };
        add(entry.map_err(DeployError::Unreadable)?, &allowance, stage)?;
    }

    // To the very end: only there gzip says whether all was read as written.
    allowance.set(MAX_TRAILER);
    io::copy(&mut unpacked, &mut io::sink()).map_err(DeployError::Unreadable)?;
    hashed.finish(task)
}

/// The SHA-256 of a file.
pub(crate) fn sha256(file: File, task: &TaskContext) -> Result<String, DeployError> {
    Hashed::new(file, task).finish(task)
}

fn add(
    mut entry: Entry<'_, impl Read>,
    allowance: &Cell<u64>,
    stage: &mut Stage,
) -> Result<(), DeployError> {
    let bytes = entry.path_bytes().into_owned();
    let path = Path::new(OsStr::from_bytes(&bytes));
    let mode = entry.header().mode().map_err(DeployError::Unreadable)?;
    let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
    let target = Path::new(OsStr::from_bytes(target.as_deref().unwrap_or_default()));
    match entry.header().entry_type() {
        EntryType::Directory => stage.directory(path, mode),
        // Before there were types, this is how a directory looked.
        EntryType::Regular if bytes.ends_with(b"/") => stage.directory(path, mode),
        EntryType::Regular | EntryType::Continuous => {
            let size = entry.size();
            // The stage refuses a size that is too large.
            allowance.set(size);
            stage.file(path, mode, size, &mut entry)
        }
        EntryType::Symlink => stage.link(path, target),
        EntryType::Link => stage.hard_link(path, target),
        // A note about the archive as a whole, such as git's.
        EntryType::XGlobalHeader => Ok(()),
        _ => {
            let why = "is neither a file nor a directory nor a link";
            Err(DeployError::refused(path, why))
        }
    }
}

/// Reads no more than it is allowed to at the moment. A few kilobytes may
/// unpack to gigabytes, not only as files, but also as a name.
struct Metered<'a, R> {
    inner: R,
    allowance: &'a Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowance = self.allowance.get();
        if allowance == 0 {
            // All may have been read: then there is no need to complain.
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::other(
                    "it describes its entries at too great length",
                )),
            };
        }
        let room = usize::try_from(allowance).map_or(buffer.len(), |room| room.min(buffer.len()));
        let bytes = self.inner.read(&mut buffer[..room])?;
        self.allowance.set(allowance - bytes as u64);
        Ok(bytes)
    }
}

/// Hashes what is read, and reports it as progress.
struct Hashed<'a> {
    file: File,
    hash: Sha256,
    task: &'a TaskContext,
}

impl<'a> Hashed<'a> {
    fn new(file: File, task: &'a TaskContext) -> Self {
        Self {
            file,
            hash: Sha256::new(),
            task,
        }
    }

    /// Reads the rest, and answers with the hash in hexadecimal.
    fn finish(mut self, task: &TaskContext) -> Result<String, DeployError> {
        let mut chunk = vec![0; 128 * 1024];
        while self.read(&mut chunk).map_err(DeployError::Unreadable)? > 0 {
            task.check_cancelled()?;
        }
        let hash = self.hash.finalize();
        Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.hash.update(&buffer[..bytes]);
        self.task.progress().inc(bytes as u64);
        Ok(bytes)
    }
}
