//! A replica: a server with one tool, in a process of its own.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use crate::health::health;
use async_tool::{AsyncTools, BoxError, TaskContext, async_tool, store};
use axum::Router;
use axum::routing::get;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

/// A dead replica's tasks are taken over soon, so that it can be watched.
const LEASE: Duration = Duration::from_secs(3);

/// Which replica this is.
struct Name(String);

/// How many primes there are, and who counted them.
#[derive(Serialize, JsonSchema)]
struct Primes {
    count: u64,
    /// The replica that counted them.
    replica: String,
}

/// Count the primes below a number.
#[async_tool(on_interrupt = "retry", concurrency = 2)]
async fn count_primes(below: u64, task: &TaskContext, name: &Name) -> Result<Primes, BoxError> {
    const PART: u64 = 20_000;
    let mut count = 0;
    for from in (0..below).step_by(usize::try_from(PART)?) {
        task.progress().fraction(from as f64 / below as f64);
        let to = below.min(from + PART);
        count +=
            spawn_blocking(move || (from..to).filter(|number| is_prime(*number)).count() as u64)
                .await?;
    }
    Ok(Primes {
        count,
        replica: name.0.clone(),
    })
}

fn is_prime(number: u64) -> bool {
    let divisors = (2..).take_while(|divisor| divisor * divisor <= number);
    number >= 2
        && divisors
            .into_iter()
            .all(|divisor| !number.is_multiple_of(divisor))
}

/// Serves until standard input ends.
pub(crate) async fn serve(name: &str, store: &str) -> Result<(), BoxError> {
    let tools = AsyncTools::builder()
        .server_info("fleet", env!("CARGO_PKG_VERSION"))
        .state(Name(name.to_owned()))
        .store(store::from_url(store).await?)
        .namespace("fleet-example")
        .lease(LEASE)
        .slots(4)
        .single_user()
        .build()
        .await?;
    let mut config = StreamableHttpServerConfig::default();
    // No replica knows the sessions of another one.
    config.legacy_session_mode = false;
    config.json_response = true;
    // No page in a browser calls it.
    let config = config.enforce_origin_validation();
    let handler = tools.clone();
    let service = tools.http_layer().layer(StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    ));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let router = Router::new()
        .nest_service("/mcp", service)
        .route("/health", get(health).with_state(tools.clone()));
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
            tools.shutdown().await;
        })
        .await?;
    Ok(())
}

/// The process of a replica.
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Replica {
    pub(crate) async fn start(name: &str, store: &str) -> Result<Self, BoxError> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--replica", name, "--store", store])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("it has no output")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        Ok(Self {
            name: name.to_owned(),
            address: line.ok_or("a replica did not start")?.parse()?,
            process,
        })
    }

    /// As `kill -9` does.
    pub(crate) async fn kill(mut self) -> Result<(), BoxError> {
        Ok(self.process.kill().await?)
    }

    /// Ends its input, and waits until it has drained.
    pub(crate) async fn stop(mut self) -> Result<(), BoxError> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}
