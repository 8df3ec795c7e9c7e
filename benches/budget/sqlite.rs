//! The SQLite store: beside the memory store, and group commit beside one
//! transaction for each call. On the disk that holds the temporary directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_tool::store::{
    Admission, Created, End, Lease, NewTask, OpenStore, Outcome, ProgressState, Report, SessionId,
    Store, Want,
};
use async_tool::{AsyncTools, MemoryStore, Registry, SqliteStore, TaskId};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::compare::percentile;
use crate::row;
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::http::HttpServer;
use crate::support::tools::{EchoTool, echo};

/// Callers of the closed loop of initiates, and what each calls in a round.
const CALLERS: usize = 50;
const CALLS: usize = 20;
/// Callers that take tasks through their lives.
const LIVES_AT_ONCE: usize = 64;
const REPORTS: u32 = 10;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;

pub(crate) async fn run() -> Result<(), BoxError> {
    initiates().await?;
    lifecycles().await
}

async fn initiates() -> Result<(), BoxError> {
    let directory = TempDir::new()?;
    let sqlite = SqliteStore::open(directory.path().join("tasks.db")).await?;
    let sqlite = Callers::connect(sqlite).await?;
    let memory = Callers::connect(MemoryStore::new().max_records(10_000_000)).await?;
    let mut ratios = Vec::new();
    // The first round warms up.
    for round in 0..=2 * ROUNDS {
        let (of_sqlite, of_memory) = if round % 2 == 0 {
            let of_sqlite = sqlite.p50().await?;
            (of_sqlite, memory.p50().await?)
        } else {
            let of_memory = memory.p50().await?;
            (sqlite.p50().await?, of_memory)
        };
        if round > 0 {
            ratios.push(of_sqlite.as_secs_f64() / of_memory.as_secs_f64());
        }
    }
    row(
        "initiate, SQLite / memory, closed loop of 50, HTTP, p50",
        &spread(ratios),
        "<= 2 x",
    );
    Ok(())
}

/// Clients of one server.
struct Callers {
    clients: Vec<Arc<Client>>,
    _server: HttpServer,
}

impl Callers {
    async fn connect(store: impl OpenStore) -> Result<Self, BoxError> {
        let tools = AsyncTools::builder()
            .registry(Registry::new().with(EchoTool))
            .slots(10 * CALLERS)
            .store(store)
            .build()
            .await?;
        let server = HttpServer::start(tools).await?;
        let mut clients = Vec::new();
        for _ in 0..CALLERS {
            clients.push(Arc::new(Client::http(&server.uri).await?));
        }
        Ok(Self {
            clients,
            _server: server,
        })
    }

    async fn p50(&self) -> Result<Duration, BoxError> {
        let mut callers = JoinSet::new();
        for client in &self.clients {
            let client = Arc::clone(client);
            callers.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..CALLS {
                    let started = Instant::now();
                    client.call("echo_initiate", echo("hello")).await?;
                    times.push(started.elapsed());
                }
                Ok::<_, BoxError>(times)
            });
        }
        let mut times = Vec::new();
        while let Some(called) = callers.join_next().await {
            times.extend(called??);
        }
        times.sort();
        Ok(percentile(&times, 50))
    }
}

async fn lifecycles() -> Result<(), BoxError> {
    let directory = TempDir::new()?;
    let open = async |name: &str| SqliteStore::open(directory.path().join(name)).await;
    let group = open("group.db").await?.open("bench").await?;
    let single = open("single.db").await?.one_transaction_per_call();
    let single = single.open("bench").await?;
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let (of_group, of_single) = if round % 2 == 0 {
            let of_group = lives(&group).await?;
            (of_group, lives(&single).await?)
        } else {
            let of_single = lives(&single).await?;
            (lives(&group).await?, of_single)
        };
        ratios.push(of_group / of_single);
    }
    row(
        "durable lifecycles, group commit / one transaction per call",
        &spread(ratios),
        ">= 10 x",
    );
    Ok(())
}

/// How many tasks a second are taken through their lives.
async fn lives(store: &Arc<dyn Store>) -> Result<f64, BoxError> {
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..LIVES_AT_ONCE {
        let store = Arc::clone(store);
        callers.spawn(async move {
            let mut lived = 0_u32;
            // Each life that began is ended, and counts.
            while started.elapsed() < ROUND {
                life(&*store).await?;
                lived += 1;
            }
            Ok::<_, BoxError>(lived)
        });
    }
    let mut lived = 0;
    while let Some(caller) = callers.join_next().await {
        lived += caller??;
    }
    Ok(f64::from(lived) / started.elapsed().as_secs_f64())
}

async fn life(store: &dyn Store) -> Result<(), BoxError> {
    const HOUR: Duration = Duration::from_secs(3600);

    let lease = Lease::new(SessionId::random(), Duration::from_secs(15));
    let new = NewTask::new(TaskId::random(), "tool", "x".repeat(100), HOUR, HOUR);
    let created = store.create(new, Admission::new(1000, 1000)).await?;
    let Created::New(_) = created else {
        return Err(format!("{created:?}").into());
    };
    // As many are queued as claim.
    let wants = [Want::new("tool".into(), 1)];
    let task = loop {
        if let Some(task) = store.claim(lease, &wants, 1).await?.pop() {
            break task;
        }
    };
    for number in 1..=REPORTS {
        let mut progress = ProgressState::default();
        progress.fraction = Some(f64::from(number) / f64::from(REPORTS));
        progress.message = Some("compiling a crate".to_owned());
        let number = u64::from(number);
        let report = Report::new(task.id, task.epoch, number, progress, task.revision);
        store.beat(lease, vec![report]).await?;
    }
    let end = End::new(Outcome::Completed("y".repeat(1024).into()), task.revision);
    let finished = store.finish(task.id, task.epoch, end).await?;
    finished.map_err(|refused| format!("{refused:?}"))?;
    store.get(task.id).await?.ok_or("the task is gone")?;
    Ok(())
}

/// The median, and the quartiles.
fn spread(mut ratios: Vec<f64>) -> String {
    ratios.sort_by(f64::total_cmp);
    let at = |share: usize| ratios[(ratios.len() - 1) * share / 100];
    format!("{:.2} x ({:.2} to {:.2})", at(50), at(25), at(75))
}
