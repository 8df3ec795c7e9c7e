//! Replicas behind a load balancer, on a store that all of them share:
//! processes are killed, frozen and restarted, the network to the store is cut,
//! and the store itself is killed, while callers go on, with clients of both
//! versions of the protocol.
//!
//! See `crash` for how to repeat a run; `ASYNC_TOOL_FLEET_TASKS` says how many
//! tasks there are.

#[path = "../../../examples/shared/balancer.rs"]
mod balancer;
mod link;
mod replicas;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_tool::store;
use fastrand::Rng;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use servers::{Postgres, Redis};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::crash::after::{check_list, check_sessions, works};
use crate::crash::arena::Scene;
use crate::crash::callers::{Accepted, Caller};
use crate::crash::checks::{Counts, Log, check_end, check_lines};
use crate::crash::client::{Client, Target};
use crate::crash::frozen::check_frozen;
use crate::crash::kills::{print, setting};
use link::Link;
use replicas::Fleet;

const REPLICAS: usize = 5;
const CALLERS: usize = 12;
/// How long the network is cut.
const CUT: Duration = Duration::from_secs(10);
/// How long the callers may take for all of their calls.
const PATIENCE: Duration = Duration::from_secs(400);
/// How long everything may take to end, on a machine that has a lot to do.
const END: Duration = Duration::from_secs(120);

/// A store's server.
enum Engine {
    Postgres(Postgres),
    Redis(Redis),
}

impl Engine {
    fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port(),
            Self::Redis(server) => server.port(),
        }
    }

    fn url(&self, port: u16) -> String {
        match self {
            Self::Postgres(_) => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            Self::Redis(_) => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// Redis syncs every write here; PostgreSQL only what must survive a crash.
    fn log(&self) -> Log {
        match self {
            Self::Postgres(_) => Log::LostWithTheStore,
            Self::Redis(_) => Log::Kept,
        }
    }

    fn restart(&self) {
        match self {
            Self::Postgres(server) => server.restart(),
            Self::Redis(server) => server.restart(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_on_postgres_loses_nothing() {
    if let Some(server) = Postgres::start(&[]) {
        Storm::new(Engine::Postgres(server)).survive().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_on_redis_loses_nothing() {
    if let Some(server) = Redis::start(&["--appendfsync", "always"]) {
        Storm::new(Engine::Redis(server)).survive().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_5_a_frozen_replica_on_postgres_writes_nothing_when_it_goes_on() {
    if let Some(server) = servers::postgres() {
        frozen(server.url()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_5_a_frozen_replica_on_redis_writes_nothing_when_it_goes_on() {
    if let Some(server) = servers::redis() {
        frozen(server.url()).await;
    }
}

async fn frozen(url: String) {
    let scene = Scene::new();
    let mut host = scene.host();
    host.store = Some(url);
    "frozen".clone_into(&mut host.namespace);
    check_frozen(host).await;
}

/// A plan; the seed decides on all moments.
struct Storm {
    engine: Engine,
    tasks: usize,
    rng: Rng,
}

impl Storm {
    fn new(engine: Engine) -> Self {
        let seed = setting("ASYNC_TOOL_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..100_000));
        let tasks = setting("ASYNC_TOOL_FLEET_TASKS").unwrap_or(2_000);
        print(&format!("ASYNC_TOOL_CRASH_SEED={seed}"));
        Self {
            engine,
            tasks: usize::try_from(tasks).expect("not that many"),
            rng: Rng::with_seed(seed),
        }
    }

    async fn survive(mut self) {
        let link = Link::to(self.engine.port()).await;
        let mut fleet = Fleet::start(REPLICAS, &self.engine.url(link.port)).await;
        let stop = CancellationToken::new();
        let mut callers = Vec::new();
        let mut progress = Vec::new();
        for number in 0..CALLERS {
            let name = format!("caller-{number}");
            let caller = Caller::new(name, self.rng.fork(), fleet.addresses());
            progress.push(caller.progress.clone());
            callers.push(tokio::spawn(caller.run(stop.clone())));
        }
        let patience = Instant::now() + PATIENCE;
        let accepted = || -> usize {
            assert!(Instant::now() < patience, "the callers get nowhere");
            progress
                .iter()
                .map(|accepted| accepted.load(Ordering::Relaxed))
                .sum()
        };

        let (tasks, rng) = (self.tasks, &mut self.rng);
        worry(&mut fleet, rng, || accepted() * 3 < tasks).await;
        link.cut();
        sleep(CUT).await;
        link.mend();
        worry(&mut fleet, rng, || accepted() * 3 < tasks * 2).await;
        tokio::task::block_in_place(|| self.engine.restart());
        worry(&mut fleet, rng, || accepted() < tasks).await;
        fleet.start_all().await;
        stop.cancel();

        let mut tasks = Vec::new();
        for caller in join_all(callers).await {
            tasks.extend(caller.expect("the caller found nothing wrong"));
        }
        assert!(tasks.len() >= self.tasks);
        self.check(&fleet, &tasks).await;
    }

    async fn check(&self, fleet: &Fleet, accepted: &[Accepted]) {
        let end = Instant::now() + END;
        let connect = async |target| Client::connect(target).await.expect("connects");
        let legacy = connect(Target::Http(fleet.balancer)).await;
        let modern = connect(Target::Modern(fleet.balancer)).await;
        let mut counts = Counts::default();
        let ends: HashMap<_, _> = stream::iter(accepted.iter().enumerate())
            .map(|(number, task)| {
                let client = if number % 2 == 0 { &legacy } else { &modern };
                async move {
                    (
                        task.id.clone(),
                        client.finish(task.tool, &task.id, end).await,
                    )
                }
            })
            .buffer_unordered(8)
            .collect()
            .await;
        for task in accepted {
            check_end(task, &ends[&task.id], self.engine.log(), &mut counts);
        }
        works(&legacy, end).await;
        works(&modern, end).await;
        check_list(&modern, accepted, end).await;
        let url = self.engine.url(self.engine.port());
        let store = store::from_url(&url).await.expect("opens");
        check_sessions(&store, "default").await;
        check_lines(&fleet.ledger.lines(), &ends, &mut counts);
        print(&format!("{} tasks: {counts:?}", accepted.len()));
        // Otherwise the faults met nothing, and all of this proves nothing.
        let proven = counts.completed > 0
            && counts.cancelled > 0
            && counts.interrupted + counts.started_again > 0
            && counts.steps_spared > 0;
        assert!(proven, "{counts:?}");
    }
}

/// Kills and freezes replicas as long as there is to do.
async fn worry(fleet: &mut Fleet, rng: &mut Rng, more: impl Fn() -> bool) {
    while more() {
        sleep(Duration::from_millis(rng.u64(200..1500))).await;
        let victim = rng.usize(..fleet.len());
        if rng.u8(..3) > 0 {
            fleet.kill(victim).await;
            sleep(Duration::from_millis(rng.u64(..1500))).await;
            fleet.start_all().await;
        } else {
            // Longer than a lease, so that its tasks are taken over.
            fleet.freeze(victim);
            sleep(Duration::from_millis(rng.u64(3_000..5_000))).await;
            fleet.thaw(victim);
        }
    }
}
