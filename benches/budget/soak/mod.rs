//! A server of its own on SQLite, over HTTP, under a mixed load for as long as
//! wished: `soak --minutes=30`. What it keeps must not grow with what it has
//! done: memory and file are bounded by retention.

mod caller;
mod plot;
mod sample;
mod server;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::process::HttpProcess;
use crate::support::BoxError;
use crate::{disk, row};
use caller::{Caller, Tally};
use sample::{Sample, Series};
pub(crate) use server::{SERVE, serve};

const CALLERS: u64 = 16;
const BETWEEN_SAMPLES: Duration = Duration::from_secs(5);
/// Retention is a minute and caches fill; growth counts from here on.
const SHORTEST: Duration = Duration::from_secs(4 * 60);

/// Runs for so many minutes.
pub(crate) async fn run(minutes: u64) -> Result<(), BoxError> {
    let length = Duration::from_secs(minutes * 60);
    disk::describe()?;
    let directory = disk::directory()?;
    let file = directory.path().join("tasks.db");
    let server = server::start(&file).await?;

    let tally = Arc::new(Tally::default());
    let end = Instant::now() + length;
    let mut callers = JoinSet::new();
    for seed in 0..CALLERS {
        let caller = Caller::new(server.uri.clone(), seed, Arc::clone(&tally));
        callers.spawn(caller.run(end));
    }
    let series = watch(&server, &file, &tally, end).await?;
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    server.stop().await?;

    save(&series)?;
    report(&series, &tally, length)
}

async fn watch(
    server: &HttpProcess,
    file: &Path,
    tally: &Tally,
    end: Instant,
) -> Result<Series, BoxError> {
    let started = Instant::now();
    let mut series = Series::default();
    while Instant::now() < end {
        tokio::time::sleep(BETWEEN_SAMPLES).await;
        series.push(Sample::take(started.elapsed(), server.pid, file, tally)?);
    }
    Ok(series)
}

/// The figures and their plot, beside what else the build made.
fn save(series: &Series) -> Result<(), BoxError> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (table, picture) = (directory.join("soak.csv"), directory.join("soak.svg"));
    fs::write(&table, series.csv())?;
    plot::draw(series, &picture)?;
    println!("figures: {}\nplot: {}", table.display(), picture.display());
    Ok(())
}

fn report(series: &Series, tally: &Tally, length: Duration) -> Result<(), BoxError> {
    println!(
        "{} minutes, {CALLERS} callers: {tally}",
        length.as_secs() / 60
    );
    let megabytes = |bytes: f64| bytes / 1024.0 / 1024.0;
    if length >= SHORTEST {
        for (what, growth) in [
            (
                "memory of the server (RSS)",
                series.growth(|sample| sample.resident),
            ),
            (
                "file and log",
                series.growth(|sample| sample.file + sample.log),
            ),
        ] {
            row(
                &format!("{what}, mean of the last quarter against the second"),
                &format!(
                    "{:.2} x ({:.1} MiB, {:.1} MiB)",
                    growth.last / growth.second,
                    megabytes(growth.last),
                    megabytes(growth.second)
                ),
                "flat: <= 1.1 x",
            );
        }
    }
    match tally.first_error() {
        None => Ok(()),
        Some(error) => {
            Err(format!("{} calls went wrong; the first: {error}", tally.errors()).into())
        }
    }
}
