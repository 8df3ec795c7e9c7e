//! Webhooks on a paused clock, carried by a wire that answers as a test says.

mod config;
mod counted;
mod fairness;
mod questions;
mod retries;
mod sizes;
mod telling;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::send::{Answer, Request, Transport};
use super::{Endpoint, Event, Host, Webhooks};
use crate::engine::Clock;
use crate::store::{OpenStore, Store};
use crate::test_tool::SleepTool;
use crate::testing::TestServer;
use crate::{AsyncTools, AsyncToolsBuilder, MemoryStore, Registry};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A message that was sent.
#[derive(Debug, Clone)]
struct Post {
    at: Instant,
    url: String,
    id: String,
    seconds: i64,
    signature: String,
    text: String,
    body: Value,
}

/// What a receiver does.
#[derive(Debug, Clone, Copy)]
enum Reply {
    Status(u16),
    /// A status and `Retry-After`.
    After(u16, Duration),
    Hang,
    BreakOff,
}

type Receiver = Arc<dyn Fn(&Post) -> Reply + Send + Sync>;

/// Carries messages to receivers that answer as a test says.
#[derive(Clone)]
struct Wire {
    receiver: Receiver,
    posts: Arc<watch::Sender<Vec<Post>>>,
    /// How many are on their way, and how many were at most.
    under_way: Arc<Mutex<(usize, usize)>>,
}

impl Wire {
    fn new(receiver: impl Fn(&Post) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            receiver: Arc::new(receiver),
            posts: Arc::default(),
            under_way: Arc::default(),
        }
    }

    /// Everybody answers so.
    fn always(reply: Reply) -> Self {
        Self::new(move |_| reply)
    }

    fn posts(&self) -> Vec<Post> {
        self.posts.borrow().clone()
    }

    /// The messages, once there are so many.
    async fn sent(&self, count: usize) -> Vec<Post> {
        let mut posts = self.posts.subscribe();
        let enough = posts.wait_for(|posts| posts.len() >= count).await;
        enough.expect("the wire is here").clone()
    }

    fn most_under_way(&self) -> usize {
        self.under_way.lock().expect("no panic").1
    }

    /// A server that sends by it.
    fn builder(&self, webhooks: Webhooks) -> AsyncToolsBuilder {
        let wire = self.clone();
        let hooks = webhooks.prepare_with(|_| Ok(Box::new(wire)));
        AsyncTools::builder()
            .registry(
                Registry::new()
                    .with(SleepTool)
                    .with(questions::AskTool)
                    .with(sizes::LargeTool),
            )
            .hooks(hooks.unwrap_or_else(|problems| panic!("{problems:?}")))
    }
}

struct UnderWay<'a>(&'a Wire);

impl<'a> UnderWay<'a> {
    fn begin(wire: &'a Wire) -> Self {
        let mut under_way = wire.under_way.lock().expect("no panic");
        under_way.0 += 1;
        under_way.1 = under_way.1.max(under_way.0);
        Self(wire)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().expect("no panic").0 -= 1;
    }
}

#[async_trait]
impl Transport for Wire {
    async fn post(&self, request: Request<'_>) -> Result<Answer, String> {
        let _under_way = UnderWay::begin(self);
        let post = Post {
            at: Instant::now(),
            url: request.url.to_string(),
            id: request.id.to_owned(),
            seconds: request.seconds,
            signature: request.signature,
            text: request.body.to_owned(),
            body: serde_json::from_str(request.body).expect("JSON"),
        };
        let reply = (self.receiver)(&post);
        self.posts.send_modify(|posts| posts.push(post));
        let (status, retry_after) = match reply {
            Reply::Status(status) => (status, None),
            Reply::After(status, pause) => (status, Some(pause)),
            Reply::Hang => std::future::pending().await,
            Reply::BreakOff => return Err("the connection broke off".to_owned()),
        };
        Ok(Answer {
            status,
            retry_after,
        })
    }
}

/// Webhooks that are told by one secret.
fn webhooks() -> Webhooks {
    Webhooks::new().secret(SECRET)
}

/// Webhooks with one endpoint.
fn one_endpoint() -> Webhooks {
    webhooks().endpoint(Endpoint::new("ops", "https://ops.example.com/tasks"))
}

/// A task that ends at once.
async fn done(server: &TestServer) -> String {
    let task = server.call("sleep_initiate", json!({"seconds": 0})).await;
    let end = server.finish("sleep", task.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
    task.id().to_owned()
}

/// A store on the paused clock, and how its default namespace is read.
async fn store() -> (MemoryStore, Arc<dyn Store>) {
    let store = MemoryStore::with_clock(Clock::tokio());
    let namespace = store.open("default").await.expect("memory");
    (store, namespace)
}

/// What is kept of the deliveries of a task, once nothing is left to do.
async fn settled(store: &Arc<dyn Store>, id: &str) -> Value {
    let id = id.parse().expect("an id");
    loop {
        let record = store.get(id).await.expect("memory").expect("it is there");
        let notice = record.notice.expect("somebody is told");
        if let (None, Some(state)) = (notice.due, notice.state) {
            return serde_json::from_str(&state).expect("JSON");
        }
        // The paused clock goes on when all else waits.
        tokio::time::sleep(MINUTE).await;
    }
}
