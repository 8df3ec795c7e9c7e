//! Connections that read, in threads of their own: a read waits neither for
//! the writer nor for the disk under the application's runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::set_patience;
use super::error::{Done, Fault};
use crate::store::StoreError;

/// How many reads go on at once.
pub(super) const READERS: usize = 2;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Asks the readers.
#[derive(Debug)]
pub(super) struct Readers {
    reads: mpsc::Sender<Read>,
}

impl Readers {
    /// Starts a thread for each connection. They end with the last handle.
    pub(super) fn start(
        connections: Vec<Connection>,
        patience: Duration,
    ) -> Done<(Self, Vec<JoinHandle<()>>)> {
        let (reads, waiting) = mpsc::channel::<Read>();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::new();
        for connection in connections {
            let waiting = Arc::clone(&waiting);
            let thread = std::thread::Builder::new()
                .name("async-tool-read".to_owned())
                .spawn(move || {
                    set_patience(patience);
                    loop {
                        // Whoever holds the lock is the next to read.
                        let next = waiting
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .recv();
                        match next {
                            Ok(read) => read(&connection),
                            Err(_) => break,
                        }
                    }
                })
                .map_err(|error| {
                    Fault::other(format!("SQLite store: could not start a thread: {error}"))
                })?;
            threads.push(thread);
        }
        Ok((Self { reads }, threads))
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Done<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let read = Box::new(move |connection: &Connection| {
            if answer.is_closed() {
                return;
            }
            let found = catch_unwind(AssertUnwindSafe(|| read(connection)))
                .unwrap_or_else(|_| Err(Fault::other("SQLite store: a read panicked")));
            // Nobody may be waiting any more.
            let _ = answer.send(found);
        });
        self.reads.send(read).map_err(|_| ended())?;
        Ok(answered.await.map_err(|_| ended())??)
    }
}

fn ended() -> StoreError {
    StoreError::new("SQLite store: its threads have ended")
}
