//! `kill -9` between the end of a task and its delivery.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use super::receiver::Delivery;
use super::*;
use crate::crash::arena::Scene;
use crate::crash::client::Client;
use crate::crash::host::{Host, Starting};

/// For the whole of it, on a machine that has a lot to do.
const PATIENCE: Duration = Duration::from_secs(120);

fn host(scene: &Scene, receiver: &Receiver) -> Host {
    let mut host = scene.host();
    host.receiver = Some(receiver.address);
    host
}

/// Starts a task that wants to be told, and waits for its end.
async fn ended(client: &Client, receiver: &Receiver, number: u64) -> String {
    let arguments = json!({"number": number, "millis": 1, "callback_url": receiver.url()});
    let task = client.ask("once_initiate", arguments).await;
    client
        .finish("once", task.id(), Instant::now() + PATIENCE)
        .await;
    task.id().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_being_told_is_told_by_the_next_process() {
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = Arc::clone(&healthy);
    // The first process gets no answer, so nothing has been delivered.
    let receiver = Receiver::start(move |_, _| match is_healthy.load(Ordering::SeqCst) {
        true => Reply::Status(200),
        false => Reply::Hang,
    })
    .await;
    let scene = Scene::new();
    let host = host(&scene, &receiver);
    let process = host.start().await;
    let client = Client::connect(process.address).await.expect("connects");
    let id = ended(&client, &receiver, 1).await;
    let first = receiver.count(1).await.remove(0);
    drop(client);
    Starting::from(process).kill(&host.ledger()).await;
    let before = receiver.deliveries().len();
    healthy.store(true, Ordering::SeqCst);

    let _process = host.start().await;
    let again = receiver.count(before + 1).await.remove(before);
    assert_eq!(again.task(), id);
    assert_eq!(again.id(), first.id());
    assert_eq!(again.body, first.body);
}

/// Processes are killed at any moment, while tasks end and are told of. Each
/// task that was accepted is told of its one end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_end_is_lost_whenever_processes_are_killed() {
    const ROUNDS: u64 = 6;
    const TASKS: u64 = 20;
    let receiver = Receiver::start(|before, _| match before % 4 {
        3 => Reply::Status(503),
        _ => Reply::Status(200),
    })
    .await;
    let scene = Scene::new();
    let host = host(&scene, &receiver);
    let mut accepted = HashSet::new();
    for round in 0..ROUNDS {
        let process = host.start().await;
        let client = Client::connect(process.address).await.expect("connects");
        // Killed while this many have been accepted, and some of them have ended.
        let last = fastrand::u64(1..=TASKS);
        for number in 0..last {
            let millis = fastrand::u64(0..30);
            let number = round * TASKS + number;
            let arguments =
                json!({"number": number, "millis": millis, "callback_url": receiver.url()});
            let task = client.ask("staged_initiate", arguments).await;
            accepted.insert(task.id().to_owned());
        }
        let first = accepted.len() / 2;
        receiver.until(|deliveries| deliveries.len() >= first).await;
        drop(client);
        Starting::from(process).kill(&host.ledger()).await;
    }

    let process = host.start().await;
    let told = receiver.until(|deliveries| {
        let told: HashSet<_> = deliveries.iter().map(Delivery::task).collect();
        accepted.iter().all(|id| told.contains(id.as_str()))
    });
    let told = tokio::time::timeout(PATIENCE, told)
        .await
        .expect("all are told");
    // However often it was sent, there is one message of each task.
    let mut ids: HashMap<&str, HashSet<(&str, &str)>> = HashMap::new();
    for delivery in &told {
        let messages = ids.entry(delivery.task()).or_default();
        messages.insert((delivery.id(), delivery.event()));
    }
    assert!(ids.values().all(|messages| messages.len() == 1), "{ids:?}");
    let client = Client::connect(process.address).await.expect("connects");
    for id in &accepted {
        let end = client.status("staged", id).await;
        assert_eq!(end["done"], true, "{}", end.text);
    }
}
