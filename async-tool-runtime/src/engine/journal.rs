//! Where the steps of a running task are recorded: in the store, under the
//! task's epoch.

use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;

use super::Engine;
use crate::steps::{Journal, Standing};
use crate::store::{Epoch, Refused, StepRecord, StoreError, TaskId, TaskRecord};

/// Does not keep the engine alive: a tool may hold its context for ever.
pub(super) struct EngineJournal {
    engine: Weak<Engine>,
    id: TaskId,
    epoch: Epoch,
}

impl EngineJournal {
    pub(super) fn of(engine: &Arc<Engine>, record: &TaskRecord) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            id: record.id,
            epoch: record.epoch,
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
    fn standing(&self) -> Standing {
        let Some(engine) = self.engine.upgrade() else {
            return Standing::Over;
        };
        engine.worker.standing(self.id, self.epoch)
    }
}
