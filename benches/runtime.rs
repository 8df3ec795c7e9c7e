//! What the runtime costs, operation by operation: `cargo bench --bench
//! runtime -- [FILTER]`. The ratios of the budget are the business of the
//! other bench, `budget`; see `BENCHMARKS.md`.

#[allow(dead_code, reason = "shared with the other bench")]
#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_tool::store::{OpenStore, Store};
use async_tool::{AsyncTools, Progress, Registry, TaskContext, TaskId};
use criterion::{BenchmarkId, Criterion, Throughput};
use rmcp::model::ProgressNotificationParam;
use rmcp::service::NotificationContext;
use rmcp::{ClientHandler, RoleClient};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use support::BoxError;
use support::client::Client;
use support::plain::PlainServer;
use support::tools::{GateTool, echo, echo_server, echo_server_on, object, roomy_memory};

fn main() -> Result<(), BoxError> {
    let runtime = Runtime::new()?;
    let mut criterion = Criterion::default().configure_from_args();
    initiate(&mut criterion, &runtime)?;
    status(&mut criterion, &runtime)?;
    waiters(&mut criterion, &runtime)?;
    progress(&mut criterion);
    criterion.final_summary();
    Ok(())
}

/// A client's call over a pipe in memory; the tasks execute meanwhile.
fn initiate(criterion: &mut Criterion, runtime: &Runtime) -> Result<(), BoxError> {
    let (ours, plain) = runtime.block_on(async {
        let ours = Client::duplex(echo_server().await?).await?;
        Ok::<_, BoxError>((ours, Client::duplex(PlainServer::new()).await?))
    })?;
    let mut group = criterion.benchmark_group("initiate");
    for (name, client) in [("async-tool", &ours), ("plain rmcp tool", &plain)] {
        group.bench_function(name, |bencher| {
            bencher.to_async(runtime).iter(async || {
                let answer = client.call("echo_initiate", echo("hello")).await;
                answer.expect("the call is answered")
            });
        });
    }
    group.finish();
    Ok(())
}

/// Reading one task among many that have ended, over a pipe in memory and at
/// the store.
fn status(criterion: &mut Criterion, runtime: &Runtime) -> Result<(), BoxError> {
    let mut group = criterion.benchmark_group("status");
    for tasks in [1_usize, 1_000, 100_000] {
        let (client, store, id) = runtime.block_on(retained(tasks))?;
        group.bench_with_input(BenchmarkId::new("pipe", tasks), &id, |bencher, id| {
            bencher.to_async(runtime).iter(async || {
                let answer = client.status("echo_status", id).await;
                answer.expect("the task is there")
            });
        });
        let id: TaskId = id.parse()?;
        group.bench_with_input(BenchmarkId::new("store", tasks), &id, |bencher, id| {
            bencher
                .to_async(runtime)
                .iter(async || store.get(*id).await.expect("memory works"));
        });
    }
    group.finish();
    Ok(())
}

/// A server that keeps some tasks, and the id of the one in the middle.
async fn retained(tasks: usize) -> Result<(Client, Arc<dyn Store>, String), BoxError> {
    let store = roomy_memory();
    let tools = echo_server_on(store.clone()).await?;
    let client = Client::duplex(tools).await?;
    let mut id = String::new();
    for task in 0..tasks {
        let new = client.initiate("echo_initiate", echo("hello")).await?;
        if task <= tasks / 2 {
            id = new;
        }
    }
    client.completed("echo_status", &id).await?;
    Ok((client, store.open("default").await?, id))
}

/// From the end of a task to the last answer of those who wait for it.
fn waiters(criterion: &mut Criterion, runtime: &Runtime) -> Result<(), BoxError> {
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::new(Semaphore::new(0));
    let client = Arc::new(runtime.block_on(async {
        let tools = AsyncTools::builder()
            .registry(Registry::new().with(GateTool))
            .state(Arc::clone(&gate))
            .build()
            .await?;
        Client::duplex_with(CountWaits(Arc::clone(&waits)), tools).await
    })?);
    let mut group = criterion.benchmark_group("end to last answer");
    group.sample_size(20);
    for waiters in [1_u32, 1_000] {
        group.throughput(Throughput::Elements(waiters.into()));
        group.bench_function(BenchmarkId::new("waiters", waiters), |bencher| {
            bencher.to_async(runtime).iter_custom(async |rounds| {
                let mut time = Duration::ZERO;
                for _ in 0..rounds {
                    let answered = release(&client, &gate, &waits, waiters).await;
                    time += answered.expect("the task completes");
                }
                time
            });
        });
    }
    group.finish();
    Ok(())
}

/// Lets a task end once so many calls wait for it; how long that took.
async fn release(
    client: &Arc<Client<CountWaits>>,
    gate: &Semaphore,
    waits: &Semaphore,
    waiters: u32,
) -> Result<Duration, BoxError> {
    let id = client.initiate("gate_initiate", object(json!({}))).await?;
    let mut calls = JoinSet::new();
    for _ in 0..waiters {
        let (client, id) = (Arc::clone(client), id.clone());
        calls.spawn(async move { client.completed("gate_status", &id).await });
    }
    waits.acquire_many(waiters).await?.forget();
    let started = Instant::now();
    gate.add_permits(1);
    while let Some(call) = calls.join_next().await {
        call??;
    }
    Ok(started.elapsed())
}

/// Counts calls that have begun to wait: each says so at once by a progress
/// notification.
#[derive(Clone)]
struct CountWaits(Arc<Semaphore>);

impl ClientHandler for CountWaits {
    async fn on_progress(
        &self,
        _params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.0.add_permits(1);
    }
}

/// What a tool pays for saying how far it is, alone and while another thread
/// says it too.
fn progress(criterion: &mut Criterion) {
    progress_call(criterion, "inc", |progress| progress.inc(1));
    progress_call(criterion, "message", |progress| {
        progress.message("compiling serde_json");
    });
}

fn progress_call(criterion: &mut Criterion, name: &str, call: fn(&Progress)) {
    let mut group = criterion.benchmark_group("progress");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new(name, threads), |bencher| {
            let task = TaskContext::detached("bench");
            bencher.iter_custom(|rounds| on_threads(threads, rounds, || call(task.progress())));
        });
    }
    group.finish();
}

/// Time for `rounds` calls in each of so many threads.
fn on_threads(threads: usize, rounds: u64, call: impl Fn() + Sync) -> Duration {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..rounds).for_each(|_| call()));
        }
    });
    started.elapsed()
}
