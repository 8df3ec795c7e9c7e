//! Says of queued tasks that nobody takes them.
//!
//! During a rolling upgrade, or after a tool was taken out of service, tasks
//! may be queued whose tool no worker has. Nobody keeps a list of workers (an
//! idle one writes nothing), so this is told by what can be seen: a task has
//! never been started for a while, this worker cannot run it, and no task of
//! its tool is being worked on anywhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Engine, View};
use crate::progress::ProgressState;
use crate::store::{Filter, Owner, StoreError};
use crate::task::{Status, TaskRecord};

/// Longer than an idle worker takes to find a task whose notification was
/// lost.
const UNCLAIMED: Duration = Duration::from_secs(15);
/// How long it is remembered whether a tool is in use.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Whether tools are in use anywhere, and when that was so.
#[derive(Debug, Default)]
pub(super) struct InUse(Mutex<HashMap<Arc<str>, (Instant, bool)>>);

impl InUse {
    fn get(&self, tool: &str) -> Option<bool> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (seen, _)| seen.elapsed() < REMEMBERED);
        known.get(tool).map(|(_, used)| *used)
    }

    fn set(&self, tool: &Arc<str>, used: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(Arc::clone(tool), (Instant::now(), used));
    }
}

impl Engine {
    /// Adds a message to the view of a task that nobody takes.
    pub(super) async fn explain(&self, view: &mut View) {
        let waited = view.now.since(view.record.created_at);
        if !is_untouched(&view.record) || waited < UNCLAIMED || self.runs(&view.record.tool) {
            return;
        }
        let tool = &view.record.tool;
        match self.is_in_use(tool).await {
            Ok(true) => {}
            Ok(false) => {
                let message = format!(
                    "no worker has taken it for {} s: it waits for a free one that has the tool \
                     `{tool}`, at the latest until its deadline",
                    waited.as_secs()
                );
                view.progress = Some(Arc::new(ProgressState {
                    message: Some(message),
                    ..ProgressState::default()
                }));
            }
            // What was asked for is there, only not why it waits.
            Err(error) => tracing::warn!(%error, "could not find out why a task is queued"),
        }
    }

    /// Whether tasks of a tool may be executed here.
    fn runs(&self, tool: &str) -> bool {
        let has = self.catalog.iter().any(|entry| *entry.name == *tool);
        has && self.config.slots > 0 && !self.is_draining()
    }

    async fn is_in_use(&self, tool: &Arc<str>) -> Result<bool, StoreError> {
        if let Some(known) = self.in_use.get(tool) {
            return Ok(known);
        }
        let mut filter = Filter::of(Owner::Anybody);
        filter.tool = Some(Arc::clone(tool));
        let mut used = false;
        for status in [Status::Working, Status::InputRequired] {
            filter.status = Some(status);
            let (store, filter) = (Arc::clone(&self.store), filter.clone());
            let listed = Self::detached(async move { store.list(&filter, None, 1).await }).await?;
            used |= !listed.is_empty();
        }
        self.in_use.set(tool, used);
        Ok(used)
    }
}

/// Whether nobody has ever had the task: what was started before has a message
/// that says why it waits.
fn is_untouched(record: &TaskRecord) -> bool {
    record.status == Status::Queued && record.epoch.0 == 0
}
