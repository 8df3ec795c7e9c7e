//! What everybody's scripts publish, on one channel for each namespace.
//!
//! A connection of its own hears it. While it is away, changes are missed;
//! when it is back, everybody is told so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{PubSubSink, PubSubStream};
use ::redis::{Client, Msg, RedisResult};
use futures_util::StreamExt;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;

use super::error::{failed, say};
use super::link::CONNECT;
use crate::store::hub::Hub;
use crate::store::{Change, StoreError, encoding};

/// How long a connection may be silent before it is asked whether it lives,
/// and how long it may take to answer.
const SILENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How namespaces ask for their channels.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    hub: Arc<Hub<String>>,
    asks: mpsc::UnboundedSender<Ask>,
}

#[derive(Debug)]
struct Ask {
    channel: String,
    heard: oneshot::Sender<Result<(), StoreError>>,
}

impl Changes {
    /// With what is to be spawned, which ends with the last clone.
    pub(super) fn new(client: Client) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (asks, asked) = mpsc::unbounded_channel();
        let hub = Arc::new(Hub::default());
        let listener = Listener {
            client,
            hub: Arc::clone(&hub),
            asked,
            channels: BTreeSet::new(),
        };
        (Self { hub, asks }, listener.listen())
    }

    /// Where the changes of a channel are told, once it is heard.
    pub(super) async fn of(
        &self,
        channel: String,
    ) -> Result<broadcast::Sender<Change>, StoreError> {
        let (heard, answer) = oneshot::channel();
        let ask = Ask {
            channel: channel.clone(),
            heard,
        };
        // First, so that nothing is told before somebody can hear it.
        let sender = self.hub.of(channel);
        let ended = || say("what listens to changes has ended");
        self.asks.send(ask).map_err(|_| ended())?;
        match timeout(CONNECT * 2, answer).await {
            Ok(answer) => answer.map_err(|_| ended())??,
            Err(_) => return Err(say("the server did not answer in time")),
        }
        Ok(sender)
    }
}

struct Listener {
    client: Client,
    hub: Arc<Hub<String>>,
    asked: mpsc::UnboundedReceiver<Ask>,
    channels: BTreeSet<String>,
}

/// Why a connection is not listened to any more.
enum End {
    Lost,
    /// Nobody wants to hear anything.
    Done,
}

impl Listener {
    async fn listen(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.connect().await {
                Ok((sink, stream)) => {
                    self.hub.tell_all(Change::Resync);
                    pause = FIRST_PAUSE;
                    match self.hear(sink, stream).await {
                        End::Lost => tracing::warn!(
                            "Redis store: lost the connection that tells of changes; connecting again"
                        ),
                        End::Done => return,
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "Redis store: nothing tells of changes");
                    if !self.refuse(&error) {
                        return;
                    }
                }
            }
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&mut self) -> Result<(PubSubSink, PubSubStream), StoreError> {
        let connecting = async {
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            if !self.channels.is_empty() {
                let channels: Vec<&String> = self.channels.iter().collect();
                sink.subscribe(channels).await?;
            }
            RedisResult::Ok((sink, stream))
        };
        match timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(failed),
            Err(_) => Err(say("the server did not answer in time")),
        }
    }

    async fn hear(&mut self, mut sink: PubSubSink, mut stream: PubSubStream) -> End {
        loop {
            tokio::select! {
                message = timeout(SILENCE, stream.next()) => match message {
                    Ok(Some(message)) => self.tell(&message),
                    Ok(None) => return End::Lost,
                    Err(_) => match timeout(SILENCE, sink.ping::<::redis::Value>()).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(_)) | Err(_) => return End::Lost,
                    },
                },
                ask = self.asked.recv() => {
                    let Some(Ask { channel, heard }) = ask else {
                        return End::Done;
                    };
                    let subscribed = timeout(CONNECT, sink.subscribe(channel.as_str())).await;
                    let answer = match subscribed {
                        Ok(answer) => answer.map_err(failed),
                        Err(_) => Err(say("the server did not answer in time")),
                    };
                    let lost = answer.is_err();
                    if !lost {
                        self.channels.insert(channel);
                    }
                    // Whoever asked may have gone away.
                    let _ = heard.send(answer);
                    if lost {
                        return End::Lost;
                    }
                }
            }
        }
    }

    fn tell(&self, message: &Msg) {
        let channel = message.get_channel_name();
        let changes = encoding::changes(message.get_payload_bytes());
        let changes = changes.unwrap_or_else(|| vec![Change::Resync]);
        for change in changes {
            self.hub.tell(&[(channel.to_owned(), change)]);
        }
    }

    /// Answers who asked while there is no connection. False if nobody can ask
    /// any more.
    fn refuse(&mut self, error: &StoreError) -> bool {
        loop {
            match self.asked.try_recv() {
                Ok(ask) => {
                    let _ = ask.heard.send(Err(StoreError::new(error.to_string())));
                }
                Err(mpsc::error::TryRecvError::Empty) => return true,
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
            }
        }
    }
}
