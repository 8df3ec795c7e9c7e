//! One of those who use the server: each call is checked for what must come of
//! it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::Kind;
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::tools::object;

/// After so many calls a caller connects anew, as agents come and go.
const CALLS_OF_A_CONNECTION: u64 = 200;
const PAUSE_MILLIS: std::ops::Range<u64> = 50..350;

/// How all callers fared.
#[derive(Debug, Default)]
pub(super) struct Tally {
    completed: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    replayed: AtomicU64,
    refused: AtomicU64,
    errors: AtomicU64,
    first_error: Mutex<Option<String>>,
}

impl Tally {
    pub(super) fn ended(&self) -> u64 {
        [&self.completed, &self.failed, &self.cancelled]
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(super) fn first_error(&self) -> Option<String> {
        let first = self.first_error.lock();
        first.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, error: &BoxError) {
        add(&self.errors);
        let mut first = self
            .first_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| error.to_string());
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [completed, failed, cancelled, replayed, refused, errors] = [
            &self.completed,
            &self.failed,
            &self.cancelled,
            &self.replayed,
            &self.refused,
            &self.errors,
        ]
        .map(|count| count.load(Ordering::Relaxed));
        write!(
            f,
            "{completed} tasks completed, {failed} failed and {cancelled} were cancelled as asked for, \
             {replayed} keys replayed, {refused} calls refused as they should be, {errors} errors"
        )
    }
}

pub(super) struct Caller {
    uri: String,
    seed: u64,
    dice: fastrand::Rng,
    calls: u64,
    tally: Arc<Tally>,
}

impl Caller {
    pub(super) fn new(uri: String, seed: u64, tally: Arc<Tally>) -> Self {
        Self {
            uri,
            seed,
            dice: fastrand::Rng::with_seed(seed),
            calls: 0,
            tally,
        }
    }

    /// Calls until then. An error only if there is no connection to be had:
    /// others are counted.
    pub(super) async fn run(mut self, end: Instant) -> Result<(), BoxError> {
        while Instant::now() < end {
            let client = Client::http(&self.uri).await?;
            for _ in 0..CALLS_OF_A_CONNECTION {
                if Instant::now() >= end {
                    break;
                }
                if let Err(error) = self.one(&client).await {
                    self.tally.fail(&error);
                }
                let pause = Duration::from_millis(self.dice.u64(PAUSE_MILLIS));
                tokio::time::sleep(pause).await;
            }
            client.close().await?;
        }
        Ok(())
    }

    async fn one(&mut self, client: &Client) -> Result<(), BoxError> {
        match self.dice.u8(0..20) {
            0..=7 => self.until_end(client, Kind::Quick, "completed").await,
            8..=10 => self.until_end(client, Kind::Slow, "completed").await,
            11 => self.until_end(client, Kind::Fail, "failed").await,
            12 => self.until_end(client, Kind::Panic, "failed").await,
            13 => self.until_end(client, Kind::Flaky, "completed").await,
            14 => self.until_end(client, Kind::Large, "completed").await,
            15 | 16 => self.cancel(client).await,
            17 => self.again(client).await,
            18 => self.list(client).await,
            _ => self.refused(client).await,
        }
    }

    /// A key that nobody else has.
    fn key(&mut self) -> String {
        self.calls += 1;
        format!("{}-{}", self.seed, self.calls)
    }

    fn job(&self, kind: Kind, key: &str) -> Value {
        json!({ "kind": kind, "number": self.calls, "idempotency_key": key })
    }

    async fn until_end(
        &mut self,
        client: &Client,
        kind: Kind,
        expected: &str,
    ) -> Result<(), BoxError> {
        let key = self.key();
        let arguments = object(self.job(kind, &key));
        let id = client.initiate("job_initiate", arguments).await?;
        let status = ended(client, &id).await?;
        self.count(&status, expected, kind)
    }

    fn count(&self, status: &str, expected: &str, kind: Kind) -> Result<(), BoxError> {
        add(match status {
            "completed" => &self.tally.completed,
            "failed" => &self.tally.failed,
            _ => &self.tally.cancelled,
        });
        if status == expected {
            Ok(())
        } else {
            Err(format!("a job of kind {kind:?} became {status}").into())
        }
    }

    async fn cancel(&mut self, client: &Client) -> Result<(), BoxError> {
        let key = self.key();
        let arguments = object(self.job(Kind::Slow, &key));
        let id = client.initiate("job_initiate", arguments).await?;
        let arguments = json!({ "task_id": id, "reason": "as planned" });
        client.call("job_cancel", object(arguments)).await?;
        let status = ended(client, &id).await?;
        self.count(&status, "cancelled", Kind::Slow)
    }

    /// The same call twice, and then the key with other arguments.
    async fn again(&mut self, client: &Client) -> Result<(), BoxError> {
        let key = self.key();
        let arguments = object(self.job(Kind::Quick, &key));
        let id = client.initiate("job_initiate", arguments.clone()).await?;
        let replay = client.call("job_initiate", arguments).await?;
        if replay["task_id"] != *id || replay["replayed"] != true {
            return Err(format!("a key was not replayed: {replay}").into());
        }
        add(&self.tally.replayed);
        let other = object(self.job(Kind::Fail, &key));
        self.expect_refusal(client, "job_initiate", other, "idempotency_conflict")
            .await?;
        let status = ended(client, &id).await?;
        self.count(&status, "completed", Kind::Quick)
    }

    async fn list(&mut self, client: &Client) -> Result<(), BoxError> {
        let page = client
            .call("task_list", object(json!({ "limit": 20 })))
            .await?;
        match page["tasks"].as_array() {
            Some(_) => Ok(()),
            None => Err(format!("a list without tasks: {page}").into()),
        }
    }

    async fn refused(&mut self, client: &Client) -> Result<(), BoxError> {
        let wrong = object(json!({ "kind": "quick", "nomber": 1 }));
        self.expect_refusal(client, "job_initiate", wrong, "invalid_arguments")
            .await?;
        let nobody = object(json!({ "task_id": "0".repeat(32) }));
        self.expect_refusal(client, "job_status", nobody, "task_not_found")
            .await
    }

    async fn expect_refusal(
        &self,
        client: &Client,
        tool: &'static str,
        arguments: serde_json::Map<String, Value>,
        code: &str,
    ) -> Result<(), BoxError> {
        match client.call(tool, arguments).await {
            Ok(answer) => Err(format!("{tool} was to be refused: {answer}").into()),
            Err(error) if error.to_string().contains(code) => {
                add(&self.tally.refused);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Waits for the end of a task; its status.
async fn ended(client: &Client, id: &str) -> Result<String, BoxError> {
    loop {
        let arguments = json!({ "task_id": id, "wait_seconds": 20 });
        let answer = client.call("job_status", object(arguments)).await?;
        if answer["done"] == true {
            return Ok(answer["status"].as_str().unwrap_or_default().to_owned());
        }
    }
}
