//! Claims queued tasks whenever there is room for them.

use std::sync::Arc;

use tokio::time::Instant;

use super::Engine;

impl Engine {
    /// Claims and starts until the engine stops.
    pub(super) async fn dispatch_forever(self: Arc<Self>) {
        loop {
            if self.worker.take_backlog() && !self.is_draining() {
                self.dispatch().await;
            }
            tokio::select! {
                () = self.worker.wake.notified() => {}
                () = self.worker.slots.freed(), if self.worker.has_backlog() => {}
            }
        }
    }

    async fn dispatch(self: &Arc<Self>) {
        let mut reservation = self.worker.slots.reserve();
        let (mut wants, limit) = (reservation.wants.clone(), reservation.left);
        // Given back before the slots, so that whoever gets one finds them free.
        let mut probes = self.circuits.narrow(&mut wants);
        let every_tool = wants.len() == self.catalog.iter().count();
        if limit == 0 || wants.is_empty() {
            self.worker.remember_backlog();
            return;
        }
        let _claiming = self.worker.claiming();
        let store = Arc::clone(&self.store);
        let lease = self.worker.lease;
        let sent = Instant::now();
        let claim = {
            let wants = wants.clone();
            Self::detached(async move { store.claim(lease, &wants, limit).await })
        };
        let claimed = match claim.await {
            Ok(claimed) => claimed,
            Err(error) => {
                self.worker.doubt();
                // The sweeper's next round tries again.
                tracing::warn!(%error, "could not claim queued tasks");
                return;
            }
        };
        let exhausted = wants.iter().any(|want| {
            let of_tool = claimed.iter().filter(|record| record.tool == want.tool);
            of_tool.count() >= want.room
        });
        if claimed.len() >= limit || !every_tool || exhausted {
            // What could not be claimed now can be when a slot becomes free.
            self.worker.remember_backlog();
        }
        for record in claimed {
            match reservation.slot(&record.tool) {
                Some(slot) if !self.is_draining() => {
                    let probe = probes.take(&record.tool);
                    // The breaker may have opened since, and this one counts no more.
                    let pass = probe.or_else(|| self.circuits.pass(&record.tool));
                    self.execute(record, slot, pass.unwrap_or_default(), sent);
                }
                _ => self.give_back(record.id, record.epoch).await,
            }
        }
    }
}
