//! The disk under a durable store: where the files are, what a sync costs, and
//! how to make it cost more.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use async_tool::SqliteStore;
use tempfile::TempDir;

use crate::compare::percentile;
use crate::process;
use crate::support::BoxError;

/// By how much [`slowed`] slows a sync down.
const DELAY: Duration = Duration::from_millis(2);

/// A directory for files that last as long as it does, on the disk that the
/// project is built on: `/tmp` may be memory.
pub(crate) fn directory() -> Result<TempDir, BoxError> {
    Ok(TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// The store of a new file.
pub(crate) async fn new_store(directory: &TempDir, name: &str) -> Result<SqliteStore, BoxError> {
    Ok(SqliteStore::open(directory.path().join(name)).await?)
}

/// Says what a sync costs here.
pub(crate) fn describe() -> Result<(), BoxError> {
    let (grown, overwritten) = syncs()?;
    println!(
        "the disk: p50 of a sync after writing 4 KiB: {grown:.2?} (file grows), {overwritten:.2?} \
         (file does not)"
    );
    Ok(())
}

/// The p50 of writing 4 KiB and syncing: at the end of a file, and over what
/// is there.
fn syncs() -> Result<(Duration, Duration), BoxError> {
    const SYNCS: usize = 101;
    let directory = directory()?;
    let path = directory.path().join("syncs");
    let pass = |mut file: File| {
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            file.write_all(&[7; 4096])?;
            let started = Instant::now();
            file.sync_data()?;
            times.push(started.elapsed());
        }
        times.sort();
        Ok::<_, BoxError>(percentile(&times, 50))
    };
    let grown = pass(File::create(&path)?)?;
    Ok((grown, pass(File::options().write(true).open(&path)?)?))
}

/// Runs a part in a process of its own in which each sync takes 2 ms longer.
pub(crate) fn slowed(part: &str) -> Result<(), BoxError> {
    let directory = directory()?;
    let source = directory.path().join("slow_sync.c");
    let library = directory.path().join("slow_sync.so");
    fs::write(&source, include_str!("slow_sync.c"))?;
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    match compiled {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("cc could not compile slow_sync.c: {status}").into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!(
                "NOT measured: {part}. A slow disk is made with a C compiler, and there is no `cc` here."
            );
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    process::run(
        Command::new(process::this()?)
            .args(["--bench", part])
            .env("LD_PRELOAD", &library),
    )
}

/// An error unless this process runs [`slowed`].
pub(crate) fn check_slow() -> Result<(), BoxError> {
    let (grown, overwritten) = syncs()?;
    if grown.min(overwritten) < DELAY {
        return Err("syncs are not slow: the preloaded library has no effect".into());
    }
    Ok(())
}

/// Size of a file, and 0 if there is none.
pub(crate) fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
