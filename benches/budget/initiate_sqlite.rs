//! Initiate on SQLite against memory, by callers who call again as soon as
//! they are answered. What they initiate is executed meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_tool::AsyncTools;
use async_tool::store::{Filter, OpenStore, Owner, Status, Store};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::compare::{Ratio, percentile};
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::http::HttpServer;
use crate::support::tools::{echo, echo_server_on, roomy_memory};
use crate::{disk, row};

const ROUNDS: usize = 20;
const CALLERS: usize = 50;
/// Calls of each caller in a round.
const OF_EACH: usize = 10;

/// The parts; the second is what [`disk::slowed`] runs.
pub(crate) const PART: &str = "initiate-sqlite";
pub(crate) const SLOW: &str = "initiate-sqlite-slow";

pub(crate) async fn run() -> Result<(), BoxError> {
    measure("this disk").await?;
    disk::slowed(SLOW)
}

pub(crate) async fn run_slow() -> Result<(), BoxError> {
    disk::check_slow()?;
    measure("+2 ms a sync").await
}

async fn measure(disk_name: &str) -> Result<(), BoxError> {
    disk::describe()?;
    for (transport, over_http) in [("HTTP", true), ("pipe", false)] {
        let directory = disk::directory()?;
        let sqlite = disk::new_store(&directory, "tasks.db").await?;
        let sqlite = Side::start(&sqlite, over_http).await?;
        let memory = Side::start(&roomy_memory(), over_http).await?;
        let ratio = compare(&sqlite, &memory).await?;
        row(
            &format!("initiate, SQLite / memory, {CALLERS} callers, {transport}, {disk_name}, p50"),
            &ratio.to_string(),
            if over_http {
                "<= 2 x"
            } else {
                "none, reported"
            },
        );
        sqlite.tools.shutdown().await;
        memory.tools.shutdown().await;
    }
    Ok(())
}

async fn compare(sqlite: &Side, memory: &Side) -> Result<Ratio, BoxError> {
    let (mut ratios, mut bases) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=ROUNDS {
        let (of_sqlite, of_memory) = if round % 2 == 0 {
            let of_sqlite = sqlite.p50().await?;
            (of_sqlite, memory.p50().await?)
        } else {
            let of_memory = memory.p50().await?;
            (sqlite.p50().await?, of_memory)
        };
        if round > 0 {
            ratios.push(of_sqlite.as_secs_f64() / of_memory.as_secs_f64());
            bases.push(of_memory);
        }
    }
    bases.sort();
    Ok(Ratio::new(
        ratios,
        format!("{:.1?}", percentile(&bases, 50)),
    ))
}

/// A server, and a client for each caller.
struct Side {
    tools: AsyncTools,
    store: Arc<dyn Store>,
    clients: Vec<Arc<Client>>,
    /// Serves as long as it lives.
    _http: Option<HttpServer>,
}

impl Side {
    async fn start<S: OpenStore + Clone>(store: &S, over_http: bool) -> Result<Self, BoxError> {
        let tools = echo_server_on(store.clone()).await?;
        let http = match over_http {
            true => Some(HttpServer::of(tools.clone()).await?),
            false => None,
        };
        let mut clients = Vec::new();
        for _ in 0..CALLERS {
            clients.push(Arc::new(match &http {
                Some(http) => Client::http(&http.uri).await?,
                None => Client::duplex(tools.clone()).await?,
            }));
        }
        let store = store.open("default").await?;
        Ok(Self {
            tools,
            store,
            clients,
            _http: http,
        })
    }

    /// The p50 of a round, and nothing of it goes on afterwards.
    async fn p50(&self) -> Result<Duration, BoxError> {
        let start = Arc::new(Barrier::new(CALLERS));
        let mut callers = JoinSet::new();
        for client in &self.clients {
            let (client, start) = (Arc::clone(client), Arc::clone(&start));
            callers.spawn(async move {
                let mut times = Vec::with_capacity(OF_EACH);
                start.wait().await;
                for _ in 0..OF_EACH {
                    let started = Instant::now();
                    client.initiate("echo_initiate", echo("hello")).await?;
                    times.push(started.elapsed());
                }
                Ok::<_, BoxError>(times)
            });
        }
        let times: Result<Vec<_>, _> = callers.join_all().await.into_iter().collect();
        let mut times: Vec<_> = times?.into_iter().flatten().collect();
        times.sort();
        self.settle().await?;
        Ok(percentile(&times, 50))
    }

    /// Waits until all tasks have ended.
    async fn settle(&self) -> Result<(), BoxError> {
        for status in [Status::Queued, Status::Working] {
            let mut filter = Filter::of(Owner::Anybody);
            filter.status = Some(status);
            while !self.store.list(&filter, None, 1).await?.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    }
}
