//! A server under load: 50 tasks of 10 to 15 seconds with a caller waiting for
//! each, and 900 quick calls meanwhile, all over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_tool::{AsyncTools, Registry};
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::compare::percentile;
use crate::row;
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::http::HttpServer;
use crate::support::tools::{EchoTool, NapTool, echo, object};

const CALLERS: u32 = 50;
const SHORTEST: f64 = 10.0;
const LONGEST: f64 = 15.0;

/// The quick calls come in bursts, so that they meet all that happens by
/// itself meanwhile.
const BURSTS: usize = 6;
const PAUSE: Duration = Duration::from_secs(1);
const SEQUENTIAL: usize = 70;
const AT_ONCE: usize = 8;
const OF_EACH: usize = 10;
const QUICK: usize = BURSTS * (SEQUENTIAL + AT_ONCE * OF_EACH);

pub(crate) async fn run() -> Result<(), BoxError> {
    scenario(100, "executed at once").await?;
    scenario(50, "queued").await
}

async fn scenario(slots: usize, name: &str) -> Result<(), BoxError> {
    let tools = AsyncTools::builder()
        .registry(Registry::new().with(EchoTool).with(NapTool))
        .slots(slots)
        .build()
        .await?;
    let server = HttpServer::of(tools).await?;

    let waiting = Arc::new(Barrier::new(CALLERS as usize + 1));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let share = f64::from(caller) / f64::from(CALLERS - 1);
        let seconds = SHORTEST + share * (LONGEST - SHORTEST);
        callers.spawn(nap(server.uri.clone(), seconds, Arc::clone(&waiting)));
    }
    tokio::select! {
        _ = waiting.wait() => {}
        Some(Ok(Err(error))) = callers.join_next() => return Err(error),
    }

    let mut quick = Quick::connect(&server.uri).await?;
    for _ in 0..BURSTS {
        tokio::time::sleep(PAUSE).await;
        quick.burst().await?;
    }
    if let Some(ended) = callers.try_join_next() {
        ended??;
        return Err("the machine is too slow: a task ended before the quick calls did".into());
    }

    let mut completed = 0;
    while let Some(caller) = callers.join_next().await {
        caller??;
        completed += 1;
    }
    for id in &quick.ids {
        quick.clients[0].completed("echo_status", id).await?;
    }
    quick.report(name, completed);
    Ok(())
}

/// One caller: initiates a task and waits for its end.
async fn nap(uri: String, seconds: f64, waiting: Arc<Barrier>) -> Result<(), BoxError> {
    let client = Client::http(&uri).await?;
    let arguments = object(json!({ "seconds": seconds }));
    let id = client.initiate("nap_initiate", arguments).await?;
    waiting.wait().await;
    client.completed("nap_status", &id).await
}

/// The quick calls: who makes them and how they went.
struct Quick {
    clients: Vec<Arc<Client>>,
    ids: Vec<String>,
    sequential: Vec<Duration>,
    concurrent: Vec<Duration>,
}

impl Quick {
    async fn connect(uri: &str) -> Result<Self, BoxError> {
        let mut clients = Vec::new();
        for _ in 0..AT_ONCE {
            clients.push(Arc::new(Client::http(uri).await?));
        }
        Ok(Self {
            clients,
            ids: Vec::new(),
            sequential: Vec::new(),
            concurrent: Vec::new(),
        })
    }

    async fn burst(&mut self) -> Result<(), BoxError> {
        for _ in 0..SEQUENTIAL {
            let (id, time) = timed(&self.clients[0]).await?;
            self.ids.push(id);
            self.sequential.push(time);
        }
        let mut calls = JoinSet::new();
        for client in &self.clients {
            let client = Arc::clone(client);
            calls.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..OF_EACH {
                    answers.push(timed(&client).await?);
                }
                Ok::<_, BoxError>(answers)
            });
        }
        while let Some(answers) = calls.join_next().await {
            for (id, time) in answers?? {
                self.ids.push(id);
                self.concurrent.push(time);
            }
        }
        Ok(())
    }

    fn report(mut self, name: &str, completed: u32) {
        println!(
            "{name}: {completed} of {CALLERS} long tasks and {} of {QUICK} quick ones completed, \
             0 errors",
            self.ids.len()
        );
        for (how, times) in [
            ("one by one".to_owned(), &mut self.sequential),
            (format!("{AT_ONCE} at once"), &mut self.concurrent),
        ] {
            times.sort();
            let measured = format!(
                "p50 {:.2?}, p99 {:.2?}",
                percentile(times, 50),
                percentile(times, 99)
            );
            let what = format!("initiate under load, {how}, {name}");
            row(&what, &measured, "p99 < 20 ms");
        }
    }
}

async fn timed(client: &Client) -> Result<(String, Duration), BoxError> {
    let started = Instant::now();
    let id = client.initiate("echo_initiate", echo("hello")).await?;
    Ok((id, started.elapsed()))
}
