//! Hearing what other processes change.
//!
//! A notification may be lost with its connection; so whenever one listens,
//! first or again, every reader is told that it may have missed something.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Notification};

use super::config::CONNECT;
use super::connection::{Connector, Driven};
use super::error::{Done, fault, too_long};
use crate::store::hub::Hub;
use crate::store::{Change, encoding};

/// The longest pause between two attempts to connect again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often it is checked that the server is still there.
const CHECK: Duration = Duration::from_secs(15);

/// Where this process tells and hears changes.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) name: String,
    /// Its own notifications come back to a process, which knows them.
    sender: u64,
}

impl Channel {
    pub(super) fn new(schema: &str) -> Self {
        Self {
            name: format!("async_tool:{schema}"),
            sender: fastrand::u64(..),
        }
    }

    /// What is told: who tells it, the namespace, and the changes.
    pub(super) fn write(&self, ns: i32, changes: &[Change]) -> String {
        use std::fmt::Write as _;
        let mut payload = format!("{:x} {ns} ", self.sender);
        for byte in changes.iter().flat_map(|change| encoding::change(*change)) {
            // Writing to a string does not fail.
            let _ = write!(payload, "{byte:02x}");
        }
        payload
    }

    /// What somebody else told; nothing if it was this process.
    fn read(&self, payload: &str) -> Vec<(i32, Change)> {
        let mut parts = payload.split(' ');
        let (sender, ns) = (parts.next(), parts.next());
        if sender.is_some_and(|sender| u64::from_str_radix(sender, 16) == Ok(self.sender)) {
            return Vec::new();
        }
        let (Some(Ok(ns)), Some(told)) = (ns.map(str::parse), parts.next()) else {
            return Vec::new();
        };
        let changes = bytes(told).and_then(|told| encoding::changes(&told));
        changes
            .unwrap_or_else(|| vec![Change::Resync])
            .into_iter()
            .map(|change| (ns, change))
            .collect()
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// A connection that listens.
pub(super) struct Listening {
    client: Client,
    notifications: mpsc::UnboundedReceiver<Notification>,
    _driven: Driven,
}

pub(super) async fn start(connector: &Connector, channel: &Channel) -> Done<Listening> {
    let (told, notifications) = mpsc::unbounded_channel();
    let (client, driven) = connector.connect(Some(told)).await?;
    let listen = format!("LISTEN \"{}\"", channel.name);
    match timeout(CONNECT, client.batch_execute(&listen)).await {
        Ok(listens) => listens.map_err(|error| fault(&error))?,
        Err(_) => return Err(too_long()),
    }
    Ok(Listening {
        client,
        notifications,
        _driven: driven,
    })
}

/// Tells what is heard, and connects again when that is necessary.
pub(super) async fn run(
    connector: Connector,
    channel: Channel,
    hub: Arc<Hub<i32>>,
    first: Listening,
) {
    let mut listening = first;
    loop {
        hub.tell_all(Change::Resync);
        hear(&mut listening, &channel, &hub).await;
        tracing::warn!("the PostgreSQL store has lost its connection for changes");
        drop(listening);
        let mut pause = Pause::default();
        listening = loop {
            match start(&connector, &channel).await {
                Ok(listening) => break listening,
                Err(error) => tracing::debug!(%error, "could not listen for changes"),
            }
            pause.wait().await;
        };
    }
}

/// Until the connection is lost.
async fn hear(listening: &mut Listening, channel: &Channel, hub: &Hub<i32>) {
    loop {
        match timeout(CHECK, listening.notifications.recv()).await {
            Ok(Some(notification)) => hub.tell(&channel.read(notification.payload())),
            Ok(None) => return,
            Err(_) => {
                let answer = timeout(CONNECT, listening.client.batch_execute("")).await;
                if !matches!(answer, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}

/// A pause that grows, and differs between processes.
#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(50))
    }
}

impl Pause {
    pub(super) async fn wait(&mut self) {
        sleep(self.0.mul_f64(0.5 + fastrand::f64())).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskId;

    #[test]
    fn what_one_process_tells_another_one_hears() {
        let (one, other) = (Channel::new("s"), Channel::new("s"));
        let changes = [
            Change::Task(TaskId::random()),
            Change::Queued,
            Change::Resync,
        ];
        let told = one.write(7, &changes);
        assert_eq!(other.read(&told), changes.map(|change| (7, change)));
        assert_eq!(one.read(&told), []);
        assert_eq!(other.read("1 7 zz"), [(7, Change::Resync)]);
        for nonsense in ["", "1", "1 x 00"] {
            assert_eq!(other.read(nonsense), []);
        }
    }
}
