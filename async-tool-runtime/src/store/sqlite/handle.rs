//! An open file, as callers see it.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};

use super::connection::{self, File};
use super::error::{Done, Fault};
use super::job::Call;
use super::readers::{READERS, Readers};
use super::schema::MIGRATIONS;
use super::work::Work;
use super::writer::{Message, Shared, Writer};
use crate::engine::Clock;
use crate::store::StoreError;

/// How many calls may wait for the writer; further ones wait before they are
/// handed over.
const WAITING: usize = 4096;

type Look<T> = fn(&mut Work<'_>) -> Done<Option<T>>;

/// What tests turn.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) clock: Clock,
    /// How long a call waits for other processes to let go of the file.
    pub(super) patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            patience: connection::PATIENCE,
        }
    }
}

/// Ends the threads when it is dropped.
#[derive(Debug)]
pub(super) struct Handle {
    messages: mpsc::Sender<Message>,
    readers: Readers,
    permits: Arc<Semaphore>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    /// Its sender lives as long as the writer does.
    closed: watch::Receiver<()>,
}

impl Handle {
    pub(super) async fn open(path: PathBuf, options: Options) -> Result<Self, StoreError> {
        let (messages, waiting) = mpsc::channel();
        let (running, closed) = watch::channel(());
        let (opened, open) = oneshot::channel();
        let shared = Arc::new(Shared::new());
        let (of_writer, patience) = (Arc::clone(&shared), options.patience);
        std::thread::Builder::new()
            .name("async-tool-write".to_owned())
            .spawn(move || {
                match start(&path, patience, of_writer) {
                    Ok((writer, readers, threads)) => {
                        // Where nobody wants it any more, there is nothing to wait for.
                        let _ = opened.send(Ok(readers));
                        writer.run(&waiting, threads);
                    }
                    Err(fault) => {
                        let _ = opened.send(Err(fault));
                    }
                }
                drop(running);
            })
            .map_err(|error| {
                StoreError::new("SQLite store: could not start a thread").with_source(error)
            })?;
        let readers = open.await.map_err(|_| ended())??;
        Ok(Self {
            messages,
            readers,
            permits: Arc::new(Semaphore::new(WAITING)),
            shared,
            clock: options.clock,
            closed,
        })
    }

    /// What completes when the writer has ended.
    pub(super) fn closed(&self) -> watch::Receiver<()> {
        self.closed.clone()
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        durable: bool,
        run: impl FnMut(&mut Work<'_>) -> Done<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(durable, None::<Look<T>>, run).await
    }

    /// Writes only where `look` finds no answer.
    pub(super) async fn write_unless<T: Send + 'static>(
        &self,
        durable: bool,
        look: impl FnMut(&mut Work<'_>) -> Done<Option<T>> + Send + 'static,
        run: impl FnMut(&mut Work<'_>) -> Done<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(durable, Some(look), run).await
    }

    async fn call<T: Send + 'static>(
        &self,
        durable: bool,
        look: Option<impl FnMut(&mut Work<'_>) -> Done<Option<T>> + Send + 'static>,
        run: impl FnMut(&mut Work<'_>) -> Done<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_| ended())?;
        let (call, answered) = Call::new(durable, look, run, permit);
        self.messages
            .send(Message::Job(Box::new(call)))
            .map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> Done<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.shared.check()?;
        self.readers.read(read).await
    }

    /// Says that a client asked, and may be waiting for what other processes
    /// do.
    pub(super) fn attend(&self) {
        if self.shared.attend() {
            // If the writer has ended, the call itself will say so.
            let _ = self.messages.send(Message::Wake);
        }
    }

    pub(super) fn one_by_one(&self) {
        self.shared.one_by_one.store(true, Ordering::Relaxed);
    }
}

fn start(
    path: &std::path::Path,
    patience: Duration,
    shared: Arc<Shared>,
) -> Done<(Writer, Readers, Vec<std::thread::JoinHandle<()>>)> {
    let file = File::prepare(path)?;
    let connection = file.writer(MIGRATIONS, patience)?;
    let readers = (0..READERS)
        .map(|_| file.reader(patience))
        .collect::<Done<Vec<_>>>()?;
    let (readers, threads) = Readers::start(readers, patience)?;
    Ok((Writer::new(connection, file, shared)?, readers, threads))
}

fn ended() -> StoreError {
    Fault::other("SQLite store: its threads have ended").into()
}
