//! Where the steps of a running task are recorded: in the store, under the
//! task's epoch.

use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;

use super::Engine;
use super::history::Timeline;
use super::worker::Live;
use crate::steps::{Journal, Standing};
use crate::store::{Epoch, Refused, StepEnd, StepKind, StepRecord, StoreError, TaskId};

/// Does not keep the engine alive: a tool may hold its context for ever.
pub(super) struct EngineJournal {
    engine: Weak<Engine>,
    id: TaskId,
    epoch: Epoch,
    history: Arc<Timeline>,
}

impl EngineJournal {
    pub(super) fn of(engine: &Arc<Engine>, live: &Live) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            id: live.record.id,
            epoch: live.record.epoch,
            history: Arc::clone(&live.history),
        }
    }
}

impl Journal for EngineJournal {
    fn load(&self) -> BoxFuture<'_, Result<Vec<StepRecord>, StoreError>> {
        let id = self.id;
        Box::pin(async move {
            let Some(engine) = self.engine.upgrade() else {
                return Err(StoreError::new("the server has ended"));
            };
            let store = Arc::clone(&engine.store);
            Engine::detached(async move { store.steps(id).await }).await
        })
    }

    fn record(&self, step: StepRecord) -> BoxFuture<'_, Result<Result<(), Refused>, StoreError>> {
        let (id, epoch) = (self.id, self.epoch);
        Box::pin(async move {
            let Some(engine) = self.engine.upgrade() else {
                return Ok(Err(Refused::Fenced));
            };
            let store = Arc::clone(&engine.store);
            Engine::detached(async move { store.record_step(id, epoch, step).await }).await
        })
    }

    fn begun(&self, name: &str) {
        self.history.begun(name, StepKind::Recorded);
    }

    fn ended(&self, name: &str, how: StepEnd) {
        self.history.ended(name, StepKind::Recorded, how);
    }

    fn standing(&self) -> Standing {
        let Some(engine) = self.engine.upgrade() else {
            return Standing::Over;
        };
        engine.worker.standing(self.id, self.epoch)
    }
}
