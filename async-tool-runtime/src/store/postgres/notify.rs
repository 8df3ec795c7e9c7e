//! Telling other processes what changed.
//!
//! `NOTIFY` takes a lock of the whole database until its commit is on disk, so
//! it is not part of any transaction that writes: changes are told together,
//! some milliseconds later, by a connection that waits for no disk.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Client;

use super::connection::{Connector, Driven};
use super::listen::{Channel, Pause};
use crate::store::Change;

/// The time between two tellings.
const BATCH: Duration = Duration::from_millis(10);
/// How many changes are told in one notification, which has less than 8000
/// bytes.
const TOLD: usize = 200;
/// How many changes of a namespace may wait; beyond, readers look at
/// everything.
const WAITING: usize = 4000;
/// How long telling may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What has to be told.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<BTreeMap<i32, Waiting>>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: Vec<Change>,
    known: HashSet<[u8; crate::store::encoding::CHANGE]>,
}

impl Waiting {
    fn add(&mut self, change: Change) {
        if self.changes.len() >= WAITING {
            self.changes = vec![Change::Resync];
        } else if self.changes != [Change::Resync]
            && self.known.insert(crate::store::encoding::change(change))
        {
            self.changes.push(change);
        }
    }
}

impl Outbox {
    pub(super) fn add(&self, changes: &[(i32, Change)]) {
        let mut waiting = self.waiting();
        for (ns, change) in changes {
            waiting.entry(*ns).or_default().add(*change);
        }
        drop(waiting);
        self.filled.notify_one();
    }

    fn take(&self) -> BTreeMap<i32, Waiting> {
        std::mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<i32, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells what comes, as long as it lives.
pub(super) async fn run(connector: Connector, channel: Channel, outbox: Arc<Outbox>) {
    let mut connection = None;
    let mut next = Instant::now();
    loop {
        outbox.filled.notified().await;
        sleep_until(next).await;
        next = Instant::now() + BATCH;
        let payloads: Vec<String> = outbox
            .take()
            .iter()
            .flat_map(|(ns, waiting)| {
                let parts = waiting.changes.chunks(TOLD);
                parts.map(|changes| channel.write(*ns, changes))
            })
            .collect();
        if payloads.is_empty() {
            continue;
        }
        let mut pause = Pause::default();
        while tell(&mut connection, &connector, &channel, &payloads)
            .await
            .is_none()
        {
            // What was told twice does no harm.
            connection = None;
            pause.wait().await;
        }
    }
}

async fn tell(
    connection: &mut Option<(Client, Driven)>,
    connector: &Connector,
    channel: &Channel,
    payloads: &Vec<String>,
) -> Option<()> {
    let telling = async {
        let (client, _) = match connection.take() {
            Some(connected) => connection.insert(connected),
            None => {
                let (client, driven) = connector.connect(None).await.ok()?;
                client
                    .batch_execute("SET synchronous_commit = off")
                    .await
                    .ok()?;
                connection.insert((client, driven))
            }
        };
        let sql = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload";
        client.execute(sql, &[&channel.name, payloads]).await.ok()
    };
    timeout(PATIENCE, telling).await.ok().flatten().map(drop)
}
