//! How soon a process answers that finds many tasks in its file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_tool::store::OpenStore;
use tempfile::TempDir;

use crate::compare::percentile;
use crate::process::Server;
use crate::support::BoxError;
use crate::support::tools::echo;
use crate::{disk, fill, row};

const RETAINED: usize = 100_000;
const QUEUED: usize = 10_000;
const ROUNDS: usize = 7;
const SLOTS: usize = 50;

pub(crate) async fn run() -> Result<(), BoxError> {
    let directory = disk::directory()?;
    let store = disk::new_store(&directory, "tasks.db").await?;
    let tasks = store.open("default").await?;
    let retained = fill::retain(&tasks, RETAINED).await?;
    fill::queue(&tasks, QUEUED).await?;
    let id = retained.last().ok_or("nothing was retained")?.to_string();

    // As a process leaves it that is killed: with what is in the log only.
    let left = TempDir::new_in(directory.path())?;
    let file = copy(&directory.path().join("tasks.db"), &left)?;
    println!(
        "the file has {} MB, its log {} MB",
        disk::size(&file) / 1_000_000,
        disk::size(&log(&file)) / 1_000_000
    );
    drop(tasks);
    store.close().await;

    let (mut statuses, mut initiates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let round = TempDir::new_in(directory.path())?;
        let file = copy(&file, &round)?;
        let (status, initiate) = once(&file, &id).await?;
        statuses.push(status);
        initiates.push(initiate);
    }
    for (what, mut times) in [("status", statuses), ("initiate", initiates)] {
        times.sort();
        row(
            &format!("start of a process to the first {what}, 10 000 queued"),
            &format!(
                "{:.0?}, at worst {:.0?}",
                percentile(&times, 50),
                percentile(&times, 100)
            ),
            "<= 1 s",
        );
    }
    Ok(())
}

/// From the start of a server, which executes what is queued, to the first
/// answers of each kind.
async fn once(file: &Path, id: &str) -> Result<(Duration, Duration), BoxError> {
    let started = Instant::now();
    let server = Server::start(file, SLOTS).await?;
    let answer = server.client.status("echo_status", id).await?;
    let to_status = started.elapsed();
    if answer["status"] != "completed" {
        return Err(format!("not the task that was retained: {answer}").into());
    }
    server
        .client
        .initiate("echo_initiate", echo("hello"))
        .await?;
    let to_initiate = started.elapsed();
    server.stop().await?;
    Ok((to_status, to_initiate))
}

fn copy(file: &Path, into: &TempDir) -> Result<PathBuf, BoxError> {
    let copied = into.path().join("tasks.db");
    fs::copy(file, &copied)?;
    if log(file).exists() {
        fs::copy(log(file), log(&copied))?;
    }
    Ok(copied)
}

/// Where SQLite keeps what is not in the file yet.
pub(crate) fn log(file: &Path) -> PathBuf {
    file.with_extension("db-wal")
}
