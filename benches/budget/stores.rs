//! The stores side by side: lifecycles a second, and how long it takes until a
//! waiter at one replica knows that its task has ended at another one.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use async_tool::{AsyncTools, Registry, SqliteStore, async_tool, store};
use async_tool_runtime::testing::TestServer;
use serde_json::json;
use servers::{Postgres, Redis};

use crate::lifecycles::Subject;
use crate::support::BoxError;
use crate::support::tools::roomy_memory;
use crate::{disk, row};

const CALLERS: [u32; 3] = [1, 64, 256];
const ROUNDS: usize = 5;
/// Waits of each store.
const WAITS: usize = 300;

/// Servers of their own, as they come: PostgreSQL syncs each commit, Redis its
/// append-only file once a second.
struct Engines {
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

impl Engines {
    fn start() -> Self {
        Self {
            postgres: Postgres::start(&[]),
            redis: Redis::start(&[]),
        }
    }

    fn urls(&self) -> impl Iterator<Item = (&'static str, String)> {
        let postgres = self
            .postgres
            .iter()
            .map(|server| ("PostgreSQL", server.url()));
        let redis = self.redis.iter().map(|server| ("Redis", server.url()));
        postgres.chain(redis)
    }
}

/// Tasks a second.
pub(crate) async fn run() -> Result<(), BoxError> {
    disk::describe()?;
    let engines = Engines::start();
    for callers in CALLERS {
        let directory = disk::directory()?;
        let file = disk::new_store(&directory, "tasks.db").await?;
        let mut subjects = vec![
            Subject::new("memory", &roomy_memory()).await?,
            Subject::new("SQLite", &file).await?,
        ];
        for (name, url) in engines.urls() {
            subjects.push(Subject::new(name, &store::from_url(&url).await?).await?);
        }
        for subject in &mut subjects {
            subject.calibrate(callers, 1).await?;
        }
        for round in 0..ROUNDS {
            for turn in 0..subjects.len() {
                let next = (round + turn) % subjects.len();
                subjects[next].round(callers, 1).await?;
            }
        }
        for subject in &subjects {
            let against = subject.median() / subjects[1].median();
            row(
                &format!("{}, {callers} callers, lifecycles a second", subject.name),
                &format!("{:.0} ({against:.2} x SQLite)", subject.median()),
                "none, reported",
            );
        }
    }
    Ok(())
}

/// When this program began.
fn zero() -> Instant {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    *ZERO.get_or_init(Instant::now)
}

/// Ends after a while; returns when, in nanoseconds.
#[async_tool]
async fn blink(millis: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    u64::try_from(zero().elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// From the end of a body at one replica to the answer of a waiter at another.
pub(crate) async fn wait() -> Result<(), BoxError> {
    zero();
    let engines = Engines::start();
    let memory = roomy_memory();
    measure("memory, one process", memory.clone(), memory).await?;
    let directory = disk::directory()?;
    let file = directory.path().join("tasks.db");
    let (one, other) = (
        SqliteStore::open(&file).await?,
        SqliteStore::open(&file).await?,
    );
    measure("SQLite", one, other).await?;
    for (name, url) in engines.urls() {
        measure(
            name,
            store::from_url(&url).await?,
            store::from_url(&url).await?,
        )
        .await?;
    }
    Ok(())
}

async fn measure(
    name: &str,
    front: impl store::OpenStore,
    back: impl store::OpenStore,
) -> Result<(), BoxError> {
    let registry = || Registry::new().with(BlinkTool);
    let front = AsyncTools::builder()
        .registry(registry())
        .store(front)
        .slots(0);
    let back = AsyncTools::builder()
        .registry(registry())
        .store(back)
        .build()
        .await?;
    let front = TestServer::connect(front.build().await?).await;
    let mut latencies = Vec::with_capacity(WAITS);
    for number in 0..WAITS {
        let millis = 20 + number % 7;
        let task = front
            .call("blink_initiate", json!({ "millis": millis }))
            .await;
        let wait = json!({"task_id": task.id(), "wait_seconds": 20});
        let end = front.call("blink_status", wait).await;
        let now = zero().elapsed();
        let ended = end["result"].as_u64().ok_or_else(|| end.text.clone())?;
        latencies.push(now.saturating_sub(Duration::from_nanos(ended)));
    }
    back.shutdown().await;
    latencies.sort();
    let at = |percent: usize| latencies[(WAITS - 1) * percent / 100];
    row(
        &format!("{name}: end at one replica to answer at another"),
        &format!("p50 {:.1?}, p99 {:.1?}", at(50), at(99)),
        "none, reported",
    );
    Ok(())
}
