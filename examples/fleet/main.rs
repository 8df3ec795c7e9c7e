//! A fleet on one machine: replicas behind a load balancer, which share their
//! tasks, and a client that gives them work and shows who does it.
//!
//! ```text
//! cargo run --example fleet                                    # on an SQLite file
//! cargo run --example fleet --features redis,postgres -- --store redis://127.0.0.1
//! cargo run --example fleet --features redis,postgres -- --store postgres://USER@HOST/DATABASE
//! ```
//!
//! Each replica is a process of its own (this program, started again). With
//! `--kill` one of them is killed half-way: its tasks are taken over by the
//! others.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

#[path = "../shared/balancer.rs"]
mod balancer;
mod client;
#[path = "../shared/health.rs"]
mod health;
mod replica;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use async_tool::BoxError;
use clap::Parser;
use client::Client;
use futures_util::{StreamExt, stream};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use replica::Replica;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Start replicas that share their tasks, and watch the tasks spread.
#[derive(Debug, Parser)]
struct Cli {
    /// How many replicas.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    replicas: u16,
    /// How many tasks.
    #[arg(long, default_value_t = 60)]
    tasks: u64,
    /// Where they are kept; in a temporary SQLite file, if left out.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Kill a replica when a third of the tasks is done.
    #[arg(long)]
    kill: bool,
    /// Be a replica of this name.
    #[arg(long, hide = true, requires = "store")]
    replica: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match (&cli.replica, &cli.store) {
        (Some(name), Some(store)) => replica::serve(name, store).await,
        _ => run(&cli).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<(), BoxError> {
    let directory = TempDir::new()?;
    let store = match &cli.store {
        Some(url) => url.clone(),
        None => format!("sqlite:{}", directory.path().join("tasks.db").display()),
    };
    let mut replicas = Vec::new();
    for number in 1..=cli.replicas {
        replicas.push(Replica::start(&format!("replica-{number}"), &store).await?);
    }
    let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address).collect();
    let (serving, targets) = watch::channel(addresses);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    tokio::spawn(balancer::balance(listener, targets));
    println!("{} replicas behind {url}", replicas.len());

    let board = Board::new(cli);
    let tasks = stream::iter(0..cli.tasks)
        .map(|number| one(&url, number))
        .buffer_unordered(usize::from(cli.replicas) * 4);
    let mut tasks = std::pin::pin!(tasks);
    let mut ended = 0;
    while let Some(report) = tasks.next().await {
        let report = report?;
        board.count(&report.replica, report.attempt > 1);
        ended += 1;
        if cli.kill && ended == cli.tasks.div_ceil(3) && replicas.len() > 1 {
            let victim = replicas.remove(0);
            board.say(&format!("killing {}", victim.name));
            victim.kill().await?;
            serving.send_replace(replicas.iter().map(|replica| replica.address).collect());
        }
    }
    board.finish();
    for replica in replicas {
        replica.stop().await?;
    }
    Ok(())
}

/// A task from its beginning to its end; each call goes to whichever replica
/// has its turn.
async fn one(url: &str, number: u64) -> Result<client::Report, BoxError> {
    let client = Client::new(url, number.is_multiple_of(2));
    let id = client.initiate(number).await?;
    client.finish(&id).await
}

/// A line for each replica, and one for all.
struct Board {
    lines: MultiProgress,
    all: ProgressBar,
    replicas: BTreeMap<String, ProgressBar>,
}

impl Board {
    fn new(cli: &Cli) -> Self {
        let style = |template| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let lines = MultiProgress::new();
        let add = |name: &str, template| {
            let line = lines.add(ProgressBar::new(cli.tasks));
            line.set_style(style(template));
            line.set_prefix(name.to_owned());
            line.tick();
            line
        };
        let replicas = (1..=cli.replicas)
            .map(|number| {
                let name = format!("replica-{number}");
                let line = add(&name, "{prefix:>12} {bar:40.cyan} {pos} {msg}");
                (name, line)
            })
            .collect();
        let all = add(
            "all",
            "{prefix:>12} {bar:40.green} {pos}/{len} in {elapsed}",
        );
        all.enable_steady_tick(Duration::from_millis(200));
        Self {
            lines,
            all,
            replicas,
        }
    }

    /// Counts a task for the replica that ended it.
    fn count(&self, replica: &str, taken_over: bool) {
        self.all.inc(1);
        if let Some(line) = self.replicas.get(replica) {
            line.inc(1);
            if taken_over {
                line.set_message("(took over tasks of the dead)");
            }
        }
    }

    fn say(&self, message: &str) {
        // Where there is no terminal, nobody needs it.
        let _ = self.lines.println(message);
    }

    fn finish(&self) {
        self.all.abandon();
        for line in self.replicas.values() {
            line.abandon();
        }
        for (name, line) in &self.replicas {
            println!("{name}: {} tasks {}", line.position(), line.message());
        }
    }
}
