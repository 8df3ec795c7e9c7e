//! Says of queued tasks that nobody takes them.
//!
//! During a rolling upgrade, or after a tool was taken out of service, tasks
//! may be queued whose tool no worker has. Nobody keeps a list of workers (an
//! idle one writes nothing), so this is told by what can be seen: a task has
//! been ready for a while, this worker cannot run it, and no task of its tool
//! is being worked on anywhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Engine, View};
use crate::progress::ProgressState;
use crate::store::{Filter, Owner, StoreError};
use crate::task::{Status, TaskRecord, Timestamp};

/// Longer than an idle worker takes to find a task whose notification was
/// lost.
const UNCLAIMED: Duration = Duration::from_secs(15);

/// Whether tools are in use anywhere, as far as somebody asked.
#[derive(Debug, Default)]
pub(super) struct InUse(HashMap<Arc<str>, bool>);

impl Engine {
    /// Adds a message to the view of a task that nobody takes.
    pub(super) async fn explain(
        &self,
        view: &mut View,
        in_use: &mut InUse,
    ) -> Result<(), StoreError> {
        let Some(waited) = waited(&view.record, view.now).filter(|waited| *waited >= UNCLAIMED)
        else {
            return Ok(());
        };
        let tool = &view.record.tool;
        if self.runs(tool) || self.is_in_use(tool, in_use).await? {
            return Ok(());
        }
        let message = format!(
            "no worker has taken it for {} s: it waits for one that has the tool `{tool}`, \
             at the latest until its deadline",
            waited.as_secs()
        );
        view.progress = Some(Arc::new(ProgressState {
            message: Some(message),
            ..ProgressState::default()
        }));
        Ok(())
    }

    /// Whether tasks of a tool may be executed here.
    fn runs(&self, tool: &str) -> bool {
        self.config.slots > 0
            && !self.is_draining()
            && self.catalog.iter().any(|entry| *entry.name == *tool)
    }

    async fn is_in_use(&self, tool: &Arc<str>, in_use: &mut InUse) -> Result<bool, StoreError> {
        if let Some(known) = in_use.0.get(tool) {
            return Ok(*known);
        }
        let mut filter = Filter::of(Owner::Anybody);
        filter.tool = Some(Arc::clone(tool));
        filter.status = Some(Status::Working);
        let store = Arc::clone(&self.store);
        let working = Self::detached(async move { store.list(&filter, None, 1).await }).await?;
        in_use.0.insert(Arc::clone(tool), !working.is_empty());
        Ok(!working.is_empty())
    }
}

/// How long a task has been ready to be claimed.
fn waited(record: &TaskRecord, now: Timestamp) -> Option<Duration> {
    let since = record.not_before.unwrap_or(record.created_at);
    (record.status == Status::Queued && record.is_ready(now)).then(|| now.since(since))
}
