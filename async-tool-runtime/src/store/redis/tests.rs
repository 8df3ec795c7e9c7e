//! What the Redis store does with real servers: the contract, random operations
//! against the memory store, servers that end and come back, and what is left.

mod cluster;
mod formats;
mod integrity;
mod model;
mod notices;
mod operators;
mod outages;
mod proxy;
mod settings;
mod values;

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, FromRedisValue};

use super::*;
use crate::store::conformance::Conformance;
use crate::store::{
    Admission, Created, Fingerprint, Lease, NewTask, SessionId, TaskId, TaskRecord, Want,
};

/// A part of a server that no other test uses.
struct Place {
    url: String,
    prefix: Arc<str>,
}

impl Place {
    /// On the server that all tests share.
    fn new() -> Option<Self> {
        Some(Self::on(servers::redis()?))
    }

    fn on(server: &servers::Redis) -> Self {
        Self {
            url: server.url(),
            prefix: format!("test-{}", TaskId::random()).into(),
        }
    }

    fn builder(&self) -> RedisStoreBuilder {
        RedisStore::builder().key_prefix(Arc::clone(&self.prefix))
    }

    /// A server's view: connections of its own.
    async fn open(&self) -> RedisStore {
        let opened = self.builder().connect(&self.url).await;
        opened.expect("it connects")
    }

    async fn store(&self) -> Arc<dyn Store> {
        self.open().await.open("test").await.expect("it opens")
    }

    async fn raw(&self) -> Raw {
        let client = ::redis::Client::open(self.url.as_str()).expect("a URL");
        // Timeouts would be over at once where the clock is paused.
        let config = ::redis::AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Raw(connection.await.expect("it connects"))
    }

    /// The name of a key of the namespace `test`.
    fn key(&self, name: &str) -> String {
        format!("{}:{{test}}:{name}", self.prefix)
    }

    /// All keys, without what they all begin with.
    async fn keys(&self) -> Vec<String> {
        let pattern = format!("{}:*", self.prefix);
        let keys: Vec<String> = self.raw().await.ask(&["KEYS", &pattern]).await;
        let base = self.key("");
        let name = |key: String| key.strip_prefix(&base).map_or(key.clone(), str::to_owned);
        let mut keys: Vec<String> = keys.into_iter().map(name).collect();
        keys.sort();
        keys
    }
}

/// A connection that knows nothing of stores.
struct Raw(MultiplexedConnection);

impl Raw {
    async fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = Cmd::new();
        for word in words {
            command.arg(word);
        }
        command
            .query_async(&mut self.0)
            .await
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }
}

fn task(tool: &str) -> NewTask {
    NewTask::new(
        TaskId::random(),
        tool,
        r#"{"a":1}"#,
        Duration::from_secs(100),
        Duration::from_secs(60),
    )
}

fn fingerprint(number: u64) -> Fingerprint {
    Fingerprint::of("t", &serde_json::json!(number))
}

fn lease() -> Lease {
    Lease::new(SessionId::random(), Duration::from_secs(15))
}

fn roomy() -> Admission {
    Admission::new(100_000, 100_000)
}

async fn queued(store: &dyn Store, new: NewTask) -> TaskId {
    match store.create(new, roomy()).await.expect("it works") {
        Created::New(record) => record.id,
        other => panic!("{other:?}"),
    }
}

async fn claim(store: &dyn Store, lease: Lease, tool: &str, limit: usize) -> Vec<TaskRecord> {
    let wants = [Want::new(tool.into(), limit)];
    store.claim(lease, &wants, limit).await.expect("it works")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract() {
    let Some(place) = Place::new() else {
        return;
    };
    let conformance = Conformance::new(place.open().await).reopen(place.open().await);
    conformance.run().await.assert();
}
