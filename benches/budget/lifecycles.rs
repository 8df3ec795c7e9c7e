//! Whole lives of tasks at the store: create, claim, beats with progress,
//! finish, get.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_tool::TaskId;
use async_tool::store::{
    Admission, Created, End, Fingerprint, Lease, NewTask, OpenStore, Outcome, ProgressState,
    Report, SessionId, Status, Store, TaskKey, Want,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::compare::Ratio;
use crate::support::BoxError;
use crate::support::tools::roomy_memory;
use crate::{disk, row};

const ROUNDS: usize = 9;
/// How long a round of one store is about.
const ROUND: Duration = Duration::from_millis(600);
/// Most lifecycles of a round: the store in memory keeps them all.
const MOST: u32 = 20_000;
const CALLERS: [u32; 2] = [1, 64];
/// As often as a tool may say something, and as the runtime lets it through.
const BEATS: [(u64, &str); 2] = [(10, "10 beats"), (1, "coalesced to 1 beat")];
const TOOLS: [&str; 4] = ["build", "deploy", "test", "train"];
const RESULT_BYTES: usize = 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The part that [`disk::slowed`] runs.
pub(crate) const SLOW: &str = "lifecycles-slow";

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
    for callers in CALLERS {
        for (beats, of_beats) in BEATS {
            let what = format!("{callers} callers, {of_beats}, {disk_name}");
            compare(callers, beats, &what).await?;
        }
    }
    Ok(())
}

/// The stores in turn, each with files of its own.
async fn compare(callers: u32, beats: u64, what: &str) -> Result<(), BoxError> {
    let directory = disk::directory()?;
    let grouped = disk::new_store(&directory, "grouped.db").await?;
    let single = disk::new_store(&directory, "single.db").await?;
    let mut stores = [
        Subject::new("memory", &roomy_memory()).await?,
        Subject::new("SQLite", &grouped).await?,
        Subject::new("one by one", &single.one_transaction_per_call()).await?,
    ];
    for store in &mut stores {
        store.calibrate(callers, beats).await?;
    }
    for round in 0..ROUNDS {
        for turn in 0..stores.len() {
            let store = &mut stores[(round + turn) % stores.len()];
            store.round(callers, beats).await?;
        }
    }

    let [memory, grouped, single] = &stores;
    println!(
        "lifecycles a second, {what}: memory {:.0}, SQLite {:.0}, one transaction per call {:.0}",
        memory.median(),
        grouped.median(),
        single.median()
    );
    let budget = match (callers, beats) {
        (64, 10) => ">= 10 x",
        _ => "none, reported",
    };
    let pairs = grouped.rates.iter().zip(&single.rates);
    let ratios = pairs.map(|(rate, base)| rate / base).collect();
    let ratio = Ratio::new(ratios, format!("{:.0} a second", single.median()));
    row(
        "SQLite / one transaction per call, these lifecycles a second",
        &ratio.to_string(),
        budget,
    );
    Ok(())
}

/// A store and how it did.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    store: Arc<dyn Store>,
    /// Lifecycles of each caller in a round.
    of_each: u32,
    /// Lifecycles a second, of each round.
    rates: Vec<f64>,
}

impl Subject {
    pub(crate) async fn new(name: &'static str, store: &dyn OpenStore) -> Result<Self, BoxError> {
        Ok(Self {
            name,
            store: store.open("default").await?,
            of_each: 1,
            rates: Vec::new(),
        })
    }

    /// Warms up, and finds out how much work a round is: the same amount for
    /// each caller, so that all of them are there to the end.
    pub(crate) async fn calibrate(&mut self, callers: u32, beats: u64) -> Result<(), BoxError> {
        let most = MOST / callers;
        loop {
            let took = self.lives(callers, beats).await?;
            let fits = ROUND.as_nanos() * u128::from(self.of_each) / took.as_nanos();
            let known = self.of_each;
            self.of_each = u32::try_from(fits).unwrap_or(most).clamp(1, most);
            // What is known of a few lifecycles is little.
            if took >= ROUND / 2 || known == most {
                return Ok(());
            }
        }
    }

    pub(crate) async fn round(&mut self, callers: u32, beats: u64) -> Result<(), BoxError> {
        let took = self.lives(callers, beats).await?;
        let lifecycles = f64::from(callers * self.of_each);
        self.rates.push(lifecycles / took.as_secs_f64());
        Ok(())
    }

    async fn lives(&self, callers: u32, beats: u64) -> Result<Duration, BoxError> {
        let mut lives = JoinSet::new();
        let started = Instant::now();
        for number in 0..usize::try_from(callers)? {
            let (store, of_each) = (Arc::clone(&self.store), self.of_each);
            lives.spawn(async move {
                let caller = Caller::new(number, store);
                for _ in 0..of_each {
                    caller.lifecycle(beats).await?;
                }
                Ok::<_, BoxError>(())
            });
        }
        while let Some(ended) = lives.join_next().await {
            ended?.map_err(|error| format!("{}: {error}", self.name))?;
        }
        Ok(started.elapsed())
    }

    pub(crate) fn median(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    }
}

/// One of those who call at the same time, with a session of its own.
struct Caller {
    store: Arc<dyn Store>,
    lease: Lease,
    arguments: Value,
    /// Which of the tools it calls.
    tool: usize,
    wants: Vec<Want>,
    result: Arc<str>,
}

impl Caller {
    fn new(number: usize, store: Arc<dyn Store>) -> Self {
        Self {
            store,
            lease: Lease::new(SessionId::random(), Duration::from_secs(15)),
            arguments: json!({ "project": "/srv/checkout", "release": true }),
            tool: number % TOOLS.len(),
            wants: TOOLS.map(|tool| Want::new(tool.into(), 1)).into(),
            result: Value::from("x".repeat(RESULT_BYTES - 2)).to_string().into(),
        }
    }

    async fn lifecycle(&self, beats: u64) -> Result<(), BoxError> {
        let store = &self.store;
        let new = self.new_task();
        let created = store
            .create(new, Admission::new(usize::MAX, usize::MAX))
            .await?;
        let Created::New(_) = created else {
            return Err(format!("a task was not new: {created:?}").into());
        };
        // Perhaps that of another caller, who then gets this one's.
        let claimed = store.claim(self.lease, &self.wants, 1).await?;
        let [task] = &*claimed else {
            return Err(format!("claimed {} tasks instead of one", claimed.len()).into());
        };
        for beat in 1..=beats {
            let report = Report::new(
                task.id,
                task.epoch,
                beat,
                progress(beat),
                task.revision + beat,
            );
            let owned = store.beat(self.lease, vec![report]).await?.owned;
            if owned.len() != 1 {
                return Err(format!("a session owned {} tasks", owned.len()).into());
            }
        }
        let outcome = Outcome::Completed(Arc::clone(&self.result));
        let end = End::new(outcome, task.revision + beats);
        if let Err(refused) = store.finish(task.id, task.epoch, end).await? {
            return Err(format!("a task could not be finished: {refused:?}").into());
        }
        let read = store.get(task.id).await?.ok_or("a task is gone")?;
        if read.status != Status::Completed {
            return Err(format!("a task that was finished is {:?}", read.status).into());
        }
        Ok(())
    }

    fn new_task(&self) -> NewTask {
        let id = TaskId::random();
        let tool = TOOLS[self.tool];
        let mut new = NewTask::new(id, tool, self.arguments.to_string(), DAY, DAY);
        let fingerprint = Fingerprint::of(tool, &self.arguments);
        new.key = Some(TaskKey::new(id.to_string(), fingerprint));
        new
    }
}

fn progress(beat: u64) -> ProgressState {
    let mut progress = ProgressState::default();
    progress.current = Some(beat);
    progress.total = Some(10);
    progress.message = Some(format!("compiling crate {beat}"));
    progress
}
