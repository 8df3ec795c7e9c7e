//! The tools that the tests drive.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, AsyncToolsBuilder, Registry, TaskContext, ToolError, async_tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// How often tools were really executed.
#[derive(Debug, Default)]
pub(crate) struct Runs(AtomicUsize);

impl Runs {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Shared with the test.
pub(crate) type SharedRuns = std::sync::Arc<Runs>;

#[derive(Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub(crate) struct Rested {
    /// How long, in milliseconds.
    pub(crate) millis: u64,
}

/// Sleep for a while.
#[async_tool(cancel_grace = "2s")]
pub(crate) async fn nap(
    /// How long, in milliseconds.
    millis: u64,
    /// Ignore requests to stop.
    #[serde(default)]
    stubborn: bool,
    task: &TaskContext,
    runs: &SharedRuns,
) -> Result<Rested, ToolError> {
    runs.add();
    let sleep = tokio::time::sleep(Duration::from_millis(millis));
    if stubborn {
        sleep.await;
    } else {
        tokio::select! {
            () = sleep => {}
            () = task.cancelled() => return Err(ToolError::new("stopped")),
        }
    }
    Ok(Rested { millis })
}

/// How to end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Error,
    Panic,
    Quota,
    Anyhow,
    Rude,
    Wordy,
    Huge,
    Nan,
    BadMap,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Odd {
    number: f64,
    text: String,
    /// Keys of JSON objects are strings, and a tuple is none.
    map: Option<std::collections::HashMap<(u8, u8), u8>>,
}

/// End in an odd way.
#[async_tool]
pub(crate) async fn odd(how: How) -> anyhow::Result<Odd> {
    let odd = Odd {
        number: 1.0,
        text: String::new(),
        map: None,
    };
    match how {
        How::Error => Err(std::io::Error::other("disk on fire").into()),
        How::Panic => panic!("no such luck"),
        How::Quota => Err(quota().into()),
        How::Anyhow => Err(anyhow::Error::from(quota()).context("while building")),
        How::Rude => Err(Rude.into()),
        How::Wordy => Err(ToolError::new("x".repeat(100_000))
            .with_code("x".repeat(100_000))
            .with_details("x".repeat(5 * 1024 * 1024).into())
            .into()),
        How::Huge => Ok(Odd {
            text: "x".repeat(100 * 1024 * 1024),
            ..odd
        }),
        How::Nan => Ok(Odd {
            number: f64::NAN,
            ..odd
        }),
        How::BadMap => Ok(Odd {
            map: Some([((1, 2), 3)].into()),
            ..odd
        }),
    }
}

/// An error that cannot be shown.
#[derive(Debug)]
struct Rude;

impl std::error::Error for Rude {}

impl std::fmt::Display for Rude {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("find out yourself")
    }
}

fn quota() -> ToolError {
    ToolError::new("no quota left")
        .with_code("quota")
        .with_retryable(true)
        .with_details(serde_json::json!({ "limit": 3 }))
}

/// Work in steps, a second for each unit.
#[async_tool(timeout = "1h", max_wait = "2h", title = "Work in steps")]
pub(crate) async fn work(units: u64, task: &TaskContext) -> u64 {
    let steps = task.progress().steps(["prepare", "work", "tidy"]);
    for step in ["prepare", "work", "tidy"] {
        steps.start(step);
        task.progress().total(units);
        for unit in 0..units {
            task.progress().message(format!("unit {unit}"));
            tokio::time::sleep(Duration::from_secs(1)).await;
            task.progress().inc(1);
        }
    }
    units
}

/// Answer at once if it takes no more than a second.
#[async_tool(inline = "1s")]
async fn quick(millis: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    millis
}

/// One at a time, one waiting.
#[async_tool(concurrency = 1, queue = 1, max_wait = "1m")]
pub(crate) async fn single(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// At most ten seconds an attempt; ends a second after it is asked to.
#[async_tool(timeout = "10s", retention = "1m")]
async fn limited(
    millis: u64,
    good: bool,
    stop: &CancellationToken,
) -> Result<&'static str, String> {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(millis)) => Ok("in time"),
        () = stop.cancelled() => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if good { Ok("after all") } else { Err("gave up".to_owned()) }
        }
    }
}

/// Block a thread, which tools should not do.
#[async_tool(cancel_grace = "1s")]
async fn block(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// A colour.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Colour {
    Red,
    Green,
}

/// A point with limits.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    #[schemars(range(min = 0, max = 100))]
    pub(crate) x: i32,
    pub(crate) y: i32,
}

/// Take strict arguments.
#[async_tool]
async fn strict(
    #[schemars(range(min = 1, max = 10))] level: u8,
    #[schemars(length(min = 2, max = 5), regex(pattern = "^[a-z]+$"))] name: String,
    #[serde(default)] colour: Option<Colour>,
    #[serde(default)] points: Vec<Point>,
    #[serde(default)] address: Option<std::net::IpAddr>,
) -> String {
    format!("{level}{name}{colour:?}{}{address:?}", points.len())
}

pub(crate) fn all() -> Registry {
    Registry::new()
        .with(NapTool)
        .with(OddTool)
        .with(WorkTool)
        .with(QuickTool)
        .with(SingleTool)
        .with(LimitedTool)
        .with(BlockTool)
        .with(StrictTool)
}

pub(crate) fn builder() -> AsyncToolsBuilder {
    AsyncTools::builder()
        .registry(all())
        .state(SharedRuns::default())
}

pub(crate) async fn start() -> TestServer {
    TestServer::start(builder()).await
}
