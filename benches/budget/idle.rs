//! What a server costs that has nothing to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use crate::process::{self, Server};
use crate::restart::log;
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::tools::{echo, echo_server};
use crate::{disk, row};

/// Until what ended with the last task has ended too, its lease above all.
const SETTLE: Duration = Duration::from_secs(20);
const WATCHED: Duration = Duration::from_secs(60);

/// The part of servers that are processes of their own.
pub(crate) const PART: &str = "idle-sqlite";

pub(crate) async fn run() -> Result<(), BoxError> {
    let tools = echo_server().await?;
    let client = Client::duplex(tools.clone()).await?;
    execute_one(&client).await?;
    sleep(SETTLE).await;
    let itself = [("worker in memory", std::process::id())];
    watch(&itself, &[]).await?;
    drop(tools);
    process::part(PART)
}

/// Servers on one file: a worker by itself, then one that only serves besides.
pub(crate) async fn run_sqlite() -> Result<(), BoxError> {
    let directory = disk::directory()?;
    let file = directory.path().join("tasks.db");
    let files = [file.clone(), log(&file)];

    let worker = Server::start(&file, 50).await?;
    execute_one(&worker.client).await?;
    sleep(SETTLE).await;
    watch(&[("worker on SQLite", worker.pid)], &files).await?;

    let other = Server::start(&file, 0).await?;
    execute_one(&other.client).await?;
    sleep(SETTLE).await;
    let both = [
        ("worker on SQLite, shared", worker.pid),
        ("one that only serves, the same file", other.pid),
    ];
    watch(&both, &files).await?;
    other.stop().await?;
    worker.stop().await
}

async fn execute_one(client: &Client) -> Result<(), BoxError> {
    let id = client.initiate("echo_initiate", echo("hello")).await?;
    client.completed("echo_status", &id).await
}

/// Watches processes for a while, and files that they should not write.
async fn watch(processes: &[(&str, u32)], files: &[PathBuf]) -> Result<(), BoxError> {
    let used = || -> Result<Vec<Used>, BoxError> {
        processes.iter().map(|(_, pid)| Used::by(*pid)).collect()
    };
    let written = || {
        files
            .iter()
            .map(|file| Written::of(file))
            .collect::<Vec<_>>()
    };
    let (before, written_before) = (used()?, written());
    sleep(WATCHED).await;
    let (after, written_after) = (used()?, written());

    for ((name, _), (before, after)) in processes.iter().zip(before.iter().zip(&after)) {
        let woken = f64::from(after.woken.saturating_sub(before.woken));
        let busy = after.busy.saturating_sub(before.busy);
        row(
            &format!("wake-ups of an idle {name}, all threads"),
            &format!(
                "{:.2} a second, {:.1} ms of CPU",
                woken / WATCHED.as_secs_f64(),
                busy.as_secs_f64() * 1000.0
            ),
            "<= 2 a second",
        );
    }
    if !files.is_empty() {
        let same = written_before == written_after;
        let measured = if same { "nothing" } else { "something" };
        row(
            "written to the database and its log meanwhile",
            measured,
            "nothing",
        );
        if !same {
            println!("before: {written_before:?}\nafter: {written_after:?}");
        }
    }
    Ok(())
}

/// What a process has used so far.
struct Used {
    /// How often its threads have gone to sleep.
    woken: u32,
    /// How long they were on a processor.
    busy: Duration,
}

impl Used {
    fn by(pid: u32) -> Result<Self, BoxError> {
        let mut used = Self {
            woken: 0,
            busy: Duration::ZERO,
        };
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?.path();
            let status = fs::read_to_string(thread.join("status"))?;
            let count = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
                .ok_or("this system does not count context switches")?;
            used.woken += count.trim().parse::<u32>()?;
            let times = fs::read_to_string(thread.join("schedstat"))?;
            let busy = times.split(' ').next().unwrap_or_default();
            used.busy += Duration::from_nanos(busy.parse()?);
        }
        Ok(used)
    }
}

/// Size of a file and when it was written.
#[derive(Debug, PartialEq)]
struct Written(Option<(u64, SystemTime)>);

impl Written {
    fn of(file: &Path) -> Self {
        let metadata = fs::metadata(file).ok();
        Self(metadata.and_then(|of| Some((of.len(), of.modified().ok()?))))
    }
}
