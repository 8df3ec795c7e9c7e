//! Webhooks, over real connections.
//!
//! When messages are tried again, and everything else that is about time, is
//! tested on a paused clock beside the module itself.

#[cfg(all(unix, feature = "sqlite"))]
mod killed;
mod network;
pub(crate) mod receiver;
mod surfaces;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_tool::MemoryStore;
use async_tool::store::{OpenStore, Store};
use async_tool::testing::TestServer;
use async_tool::webhook::{Endpoint, Event, Webhooks};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

use crate::tools::builder;
use receiver::{Receiver, Reply};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What has not come by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// Webhooks to receivers on loopback, which tries again soon.
pub(crate) fn local() -> Webhooks {
    Webhooks::new()
        .secret(SECRET)
        .allow_http()
        .allow_network("127.0.0.1/32")
        .pauses([Duration::from_millis(20)])
        .timeout(Duration::from_secs(10))
}

/// Those of callers to one receiver.
fn callbacks(receiver: &Receiver) -> Webhooks {
    local().allow_host(receiver.address.to_string())
}

/// Starts a task that ends at once, and waits for that.
async fn done(server: &TestServer, callback_url: &str) -> String {
    let arguments = json!({"millis": 0, "callback_url": callback_url});
    let task = server.call("nap_initiate", arguments).await;
    assert!(!task.is_error, "{}", task.text);
    server.finish("nap", task.id()).await;
    task.id().to_owned()
}

/// What is kept of the deliveries of a task, as soon as it is as wanted.
async fn kept(store: &Arc<dyn Store>, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let id = id.parse().expect("an id");
    let mut last = Value::Null;
    let kept = async {
        loop {
            let record = store.get(id).await.expect("memory").expect("it is there");
            let state = record.notice.expect("somebody is told").state;
            let state: Value =
                serde_json::from_str(state.as_deref().unwrap_or("{}")).expect("JSON");
            last = state["targets"].clone();
            if wanted(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let kept = tokio::time::timeout(PATIENCE, kept).await;
    assert!(kept.is_ok(), "the deliveries stay as they are: {last}");
    last
}

async fn store() -> (MemoryStore, Arc<dyn Store>) {
    let store = MemoryStore::new();
    let namespace = store.open("default").await.expect("memory");
    (store, namespace)
}

#[tokio::test]
async fn a_delivery_has_the_headers_of_standard_webhooks() {
    let receiver = Receiver::accepting().await;
    let server = TestServer::start(builder().webhooks(callbacks(&receiver))).await;
    let id = done(&server, &receiver.url()).await;
    let delivery = receiver.count(1).await.remove(0);
    assert_eq!(delivery.id(), format!("msg_{id}_1_callback"));
    assert_eq!(delivery.header("content-type"), "application/json");
    assert!(delivery.header("user-agent").starts_with("async-tool/"));
    assert!(delivery.header("webhook-signature").starts_with("v1,"));
    let sent: u64 = delivery
        .header("webhook-timestamp")
        .parse()
        .expect("seconds");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    assert!(now.expect("after 1970").as_secs().abs_diff(sent) < 60);
    assert_eq!(delivery.event(), "task.completed");
    assert_eq!(delivery.task(), id);
    assert_eq!(delivery.body["data"]["status"], "completed");
    assert_eq!(delivery.body["data"].get("result"), None, "not asked for");
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again() {
    let receiver = Receiver::start(|before, _| match before {
        0 => Reply::Status(500),
        1 => Reply::Status(429),
        _ => Reply::Status(200),
    })
    .await;
    let (store, namespace) = store().await;
    let builder = builder().store(store).webhooks(callbacks(&receiver));
    let server = TestServer::start(builder).await;
    let id = done(&server, &receiver.url()).await;
    let targets = kept(&namespace, &id, |targets| {
        targets["callback"]["outcome"] == "delivered"
    })
    .await;
    assert_eq!(targets["callback"]["tries"], 3);
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries.len(), 3);
    for other in &deliveries[1..] {
        assert_eq!(other.id(), deliveries[0].id());
        assert_eq!(other.body, deliveries[0].body);
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_is_told_again() {
    let receiver = Receiver::start(|before, _| match before {
        0 => Reply::Hang,
        _ => Reply::Status(200),
    })
    .await;
    let hooks = callbacks(&receiver).timeout(Duration::from_millis(200));
    let server = TestServer::start(builder().webhooks(hooks)).await;
    done(&server, &receiver.url()).await;
    receiver.count(2).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let trap = Receiver::accepting().await;
    let elsewhere = trap.url();
    let receiver = Receiver::start(move |before, _| match before {
        0..3 => Reply::Redirect(elsewhere.clone()),
        _ => Reply::Status(410),
    })
    .await;
    let (store, namespace) = store().await;
    // Not even to a host that is allowed.
    let hooks = callbacks(&receiver).allow_host(trap.address.to_string());
    let server = TestServer::start(builder().store(store).webhooks(hooks)).await;
    let id = done(&server, &receiver.url()).await;
    let given_up = |targets: &Value| targets["callback"]["outcome"] == "given_up";
    let targets = kept(&namespace, &id, given_up).await;
    assert_eq!(targets["callback"]["tries"], 4);
    assert!(trap.deliveries().is_empty());
}

#[tokio::test]
async fn what_a_receiver_says_is_not_read() {
    let unread = CancellationToken::new();
    let endless = unread.clone();
    let receiver = Receiver::start(move |_, _| Reply::Endless(endless.clone())).await;
    let (store, namespace) = store().await;
    let builder = builder().store(store).webhooks(callbacks(&receiver));
    let server = TestServer::start(builder).await;
    let id = done(&server, &receiver.url()).await;
    unread.cancelled().await;
    kept(&namespace, &id, |targets| {
        targets["callback"]["outcome"] == "delivered"
    })
    .await;
    assert_eq!(receiver.deliveries().len(), 1);
}

#[tokio::test]
async fn one_receiver_that_is_down_keeps_nothing_from_the_others() {
    let [all, failures] = [Receiver::accepting().await, Receiver::accepting().await];
    // Nobody listens there, and nobody else will.
    let socket = TcpSocket::new_v4().expect("a socket");
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(loopback).expect("a port");
    let down = socket.local_addr().expect("bound");
    let (store, namespace) = store().await;
    let hooks = local()
        .endpoint(Endpoint::new("all", all.url()))
        .endpoint(Endpoint::new("failures", failures.url()).events([Event::Failed]))
        .endpoint(Endpoint::new("down", format!("http://{down}/")));
    let server = TestServer::start(builder().store(store).webhooks(hooks)).await;
    let bad = server.call("odd_initiate", json!({"how": "error"})).await;
    server.finish("odd", bad.id()).await;
    let good = server.call("nap_initiate", json!({"millis": 0})).await;
    let tried = |targets: &Value| targets["down"]["tries"].as_u64() > Some(2);
    for id in [bad.id(), good.id()] {
        let targets = kept(&namespace, id, tried).await;
        assert_eq!(targets["down"]["outcome"], "pending");
        let error = targets["down"]["error"].as_str().expect("text");
        assert!(error.contains("refused"), "{error}");
    }
    let told = |receiver: &Receiver| {
        let deliveries = receiver.deliveries();
        let mut told: Vec<_> = deliveries
            .iter()
            .map(|delivery| (delivery.event().to_owned(), delivery.task().to_owned()))
            .collect();
        told.sort();
        told
    };
    let failed = ("task.failed".to_owned(), bad.id().to_owned());
    let completed = ("task.completed".to_owned(), good.id().to_owned());
    assert_eq!(told(&failures), std::slice::from_ref(&failed));
    assert_eq!(told(&all), [completed, failed]);
}
