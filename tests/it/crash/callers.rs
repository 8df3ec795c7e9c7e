//! Callers that go on whatever happens to their servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::testing::Answer;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::client::{Broken, Client, Target};
use super::tools::TRIES;

/// Where the servers of a namespace are at the moment.
pub(crate) struct Addresses {
    all: watch::Receiver<Vec<Option<Target>>>,
    /// Which of them are the namespace's.
    places: Vec<usize>,
}

impl Addresses {
    pub(crate) fn new(all: watch::Receiver<Vec<Option<Target>>>, places: Vec<usize>) -> Self {
        Self { all, places }
    }

    /// One of those that serve.
    pub(crate) fn choose(&mut self, rng: &mut Rng) -> Option<Target> {
        let all = self.all.borrow_and_update();
        let serving = self.places.iter().filter_map(|place| all[*place]);
        rng.choice(serving.collect::<Vec<_>>())
    }

    async fn changed(&mut self) {
        let _ = self.all.changed().await;
    }
}

/// A pause before the next try where the store is away.
const AWAY: Duration = Duration::from_millis(200);
/// How long there may be no answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many tasks of a caller may be on their way.
const AT_ONCE: usize = 8;
/// How many keys `keyed` is called with.
const KEYS: u64 = 3;

/// A call that was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    pub(crate) tool: &'static str,
    pub(crate) arguments: Value,
    /// What comes out if nothing comes between.
    pub(crate) result: Option<u64>,
    pub(crate) may_be_cancelled: bool,
}

/// One that makes calls, one after the other.
pub(crate) struct Caller {
    name: String,
    rng: Rng,
    addresses: Addresses,
    connection: Option<Client>,
    accepted: Vec<Accepted>,
    /// Which of them have not been seen to end.
    open: Vec<usize>,
    /// How many calls were acknowledged so far.
    pub(crate) progress: Arc<AtomicUsize>,
}

impl Caller {
    pub(crate) fn new(name: String, rng: Rng, addresses: Addresses) -> Self {
        Self {
            name,
            rng,
            addresses,
            connection: None,
            accepted: Vec::new(),
            open: Vec::new(),
            progress: Arc::default(),
        }
    }

    /// Calls until it is told to stop; returns what was acknowledged.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Vec<Accepted> {
        for number in 0.. {
            if stop.is_cancelled() {
                break;
            }
            self.progress.store(self.accepted.len(), Ordering::Relaxed);
            match self.rng.u8(..10) {
                0 => self.cancel().await,
                1 => self.replay().await,
                2 => self.look(0.3).await,
                _ => self.initiate(number).await,
            }
            while self.open.len() >= AT_ONCE && !stop.is_cancelled() {
                self.look(1.0).await;
            }
        }
        self.accepted
    }

    async fn initiate(&mut self, number: u64) {
        let millis = self.rng.u64(5..400);
        let (tool, mut arguments, result) = match self.rng.u8(..4) {
            0 => ("once", json!({}), Some(number * 2)),
            1 => ("staged", json!({}), Some(number * 4 + 6)),
            2 => {
                let failures = self.rng.u32(..=TRIES);
                let result = (failures < TRIES).then_some(number * 3);
                ("flaky", json!({ "failures": failures }), result)
            }
            _ => {
                let key = format!("key-{}", self.rng.u64(..KEYS));
                ("keyed", json!({ "key": key }), Some(number * 5))
            }
        };
        arguments["number"] = json!(number);
        // Those of a key wait for each other.
        arguments["millis"] = json!(if tool == "keyed" { millis / 8 } else { millis });
        // Without a key, nobody knows what became of a call without an answer.
        let without_key = self.rng.u8(..10) == 0;
        if !without_key {
            arguments["idempotency_key"] = json!(format!("{}-{number}", self.name));
        }
        let initiate = format!("{tool}_initiate");
        let answer = if without_key {
            match self.try_call(&initiate, &arguments).await {
                Ok(answer) => answer,
                Err(Broken) => return,
            }
        } else {
            self.call(&initiate, &arguments).await
        };
        assert!(!answer.is_error, "{initiate}: {}", answer.text);
        self.open.push(self.accepted.len());
        self.accepted.push(Accepted {
            id: answer.id().to_owned(),
            tool,
            arguments,
            result,
            may_be_cancelled: false,
        });
    }

    /// Makes an acknowledged call once more.
    async fn replay(&mut self) {
        let Some(task) = self.rng.choice(&self.accepted).cloned() else {
            return;
        };
        if task.arguments["idempotency_key"].is_null() {
            return;
        }
        let initiate = format!("{}_initiate", task.tool);
        let answer = self.call(&initiate, &task.arguments).await;
        assert_eq!(answer.id(), task.id, "a key names one task");
        assert_eq!(answer["replayed"], true, "{}", answer.text);
    }

    async fn cancel(&mut self) {
        let Some(index) = self.rng.choice(&self.open).copied() else {
            return;
        };
        let task = &mut self.accepted[index];
        task.may_be_cancelled = true;
        let (tool, arguments) = (task.tool, json!({"task_id": task.id, "reason": "enough"}));
        let answer = self.call(&format!("{tool}_cancel"), &arguments).await;
        assert!(!answer.is_error, "{tool}: {}", answer.text);
    }

    /// Waits for a task of ours.
    async fn look(&mut self, seconds: f64) {
        if self.open.is_empty() {
            return;
        }
        let place = self.rng.usize(..self.open.len());
        let task = &self.accepted[self.open[place]];
        let (tool, id) = (task.tool, task.id.clone());
        let arguments = json!({"task_id": id, "wait_seconds": seconds});
        let answer = self.call(&format!("{tool}_status"), &arguments).await;
        assert_eq!(answer.id(), id, "{}", answer.text);
        if answer["done"] == true {
            self.open.swap_remove(place);
        }
    }

    /// Calls until there is an answer.
    async fn call(&mut self, tool: &str, arguments: &Value) -> Answer {
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < PATIENCE, "{tool}: no answer");
            if let Ok(answer) = self.try_call(tool, arguments).await {
                return answer;
            }
        }
    }

    async fn try_call(&mut self, tool: &str, arguments: &Value) -> Result<Answer, Broken> {
        let connection = match self.connection.take() {
            // With several servers, not always the same one.
            Some(connection) if self.rng.u8(..20) > 0 => connection,
            _ => self.connect().await,
        };
        let answer = connection.call(tool, arguments.clone()).await?;
        self.connection = Some(connection);
        if answer.error_code() == Some("store_unavailable") && answer.is_error {
            // As good as no answer: nobody knows what has been done.
            sleep(AWAY).await;
            return Err(Broken);
        }
        Ok(answer)
    }

    async fn connect(&mut self) -> Client {
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < PATIENCE, "nobody serves");
            if let Some(address) = self.addresses.choose(&mut self.rng)
                && let Ok(client) = Client::connect(address).await
            {
                return client;
            }
            // None serves, or one has just died: there will be another soon.
            const SOON: Duration = Duration::from_millis(200);
            let _ = timeout(SOON, self.addresses.changed()).await;
        }
    }
}
