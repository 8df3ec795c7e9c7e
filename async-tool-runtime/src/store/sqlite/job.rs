//! A call on its way through the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::{Done, Fault};
use super::work::Work;
use crate::store::StoreError;

/// What the writer knows of a call.
pub(super) trait Job: Send {
    /// Whether its commit must survive a power cut.
    fn is_durable(&self) -> bool;

    /// Whether it can tell, without a transaction, that there is nothing to
    /// write.
    fn can_look(&self) -> bool;

    /// Whether there is nothing to write, so that the call is done.
    fn look(&mut self, work: &mut Work<'_>) -> Done<bool>;

    /// Does it, within a transaction; may be repeated in another one.
    fn run(&mut self, work: &mut Work<'_>) -> Done<()>;

    /// Answers the caller: with what the last `look` or `run` found, or an
    /// error.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// The caller's end of a call.
pub(super) type Answered<T> = oneshot::Receiver<Result<T, StoreError>>;

/// A call and what carries it out.
pub(super) struct Call<T, L, R> {
    pub(super) durable: bool,
    /// Finds the answer where nothing needs to be written.
    pub(super) look: Option<L>,
    pub(super) run: R,
    found: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
    _permit: OwnedSemaphorePermit,
}

impl<T, L, R> Call<T, L, R> {
    pub(super) fn new(
        durable: bool,
        look: Option<L>,
        run: R,
        permit: OwnedSemaphorePermit,
    ) -> (Self, Answered<T>) {
        let (answer, answered) = oneshot::channel();
        let call = Self {
            durable,
            look,
            run,
            found: None,
            answer,
            _permit: permit,
        };
        (call, answered)
    }
}

impl<T, L, R> Job for Call<T, L, R>
where
    T: Send,
    L: FnMut(&mut Work<'_>) -> Done<Option<T>> + Send,
    R: FnMut(&mut Work<'_>) -> Done<T> + Send,
{
    fn is_durable(&self) -> bool {
        self.durable
    }

    fn can_look(&self) -> bool {
        self.look.is_some()
    }

    fn look(&mut self, work: &mut Work<'_>) -> Done<bool> {
        if let Some(look) = &mut self.look {
            self.found = guarded(|| look(work))?;
        }
        Ok(self.found.is_some())
    }

    fn run(&mut self, work: &mut Work<'_>) -> Done<()> {
        self.found = Some(guarded(|| (self.run)(work))?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { found, answer, .. } = *self;
        let found = outcome.and_then(|()| {
            found.ok_or_else(|| StoreError::new("SQLite store: a call found nothing"))
        });
        // Nobody may be waiting any more.
        let _ = answer.send(found);
    }
}

/// A bug in one operation is no reason to end the thread that serves all.
fn guarded<T>(run: impl FnOnce() -> Done<T>) -> Done<T> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(Fault::other("SQLite store: an operation panicked")))
}
