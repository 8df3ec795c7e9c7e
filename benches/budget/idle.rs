//! How often a worker that has nothing to do wakes up.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::row;
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::tools::{echo, echo_server};

/// Until what ended with the last task has ended too.
const SETTLE: Duration = Duration::from_secs(6);
const WATCHED: Duration = Duration::from_secs(20);

pub(crate) fn run(runtime: &Runtime) -> Result<(), BoxError> {
    let tools = runtime.block_on(async {
        let tools = echo_server().await?;
        let client = Client::duplex(tools.clone()).await?;
        let id = client.initiate("echo_initiate", echo("hello")).await?;
        client.completed("echo_status", &id).await?;
        Ok::<_, BoxError>(tools)
    })?;
    sleep(SETTLE);
    let before = switches()?;
    sleep(WATCHED);
    // This thread's own wake-up does not count.
    let woken = switches()?.saturating_sub(before + 1);
    drop(tools);
    let a_second = f64::from(woken) / WATCHED.as_secs_f64();
    row(
        "wake-ups of an idle worker, all threads",
        &format!("{a_second:.2} a second"),
        "<= 2 a second",
    );
    Ok(())
}

/// How often the threads of this process have gone to sleep so far.
fn switches() -> Result<u32, BoxError> {
    let mut all = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let count = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .ok_or("this system does not count context switches")?;
        all += count.trim().parse::<u32>()?;
    }
    Ok(all)
}
