//! Notices, and what operators do.

use std::time::Duration;

use super::{Pair, same};
use crate::store::{Stats, StoreError, Told};

impl Pair {
    pub(super) async fn claim_notices(&mut self) {
        let pause = Duration::from_secs(self.dice.pick(&[1, 6, 30]));
        let limit = 1 + self.dice.index(4);
        let model = self.model.claim_notices(pause, limit).await;
        let store = self.store.claim_notices(pause, limit).await;
        let claimed = model.expect("memory works");
        for record in &claimed {
            let state = format!("\"\0 ✓ {}\"", self.dice.roll(100));
            let told = Told::of(record, state).expect("it is due");
            let again = Duration::from_secs(4 * self.dice.roll(3));
            self.told.push(match self.dice.roll(2) {
                0 => told,
                _ => told.again(again),
            });
        }
        same("claim_notices", claimed, store.expect("it works"));
    }

    /// Of one of the last claims, which may be too late.
    pub(super) async fn settle_notice(&mut self) {
        let from = self.told.len().saturating_sub(4);
        if from == self.told.len() {
            return;
        }
        let mut told = self.dice.pick(&self.told[from..]);
        if self.dice.roll(6) == 0 {
            told.number += 1;
        }
        let model = self.model.settle_notice(told.clone()).await;
        let store = self.store.settle_notice(told.clone()).await;
        same("settle_notice", model.ok(), store.ok());
        self.look_at(told.id).await;
    }

    pub(super) async fn purge(&mut self) {
        let id = self.id_of(|record| record.status.is_terminal()).await;
        let model = self.model.purge(id).await;
        let store = self.store.purge(id).await;
        same("purge", model.expect("memory"), store.expect("it works"));
        self.look_at(id).await;
    }

    pub(super) async fn count(&mut self) {
        let sorted = |stats: Result<Stats, StoreError>| {
            let mut stats = stats.expect("it works");
            // How they are counted is each store's own.
            for session in &mut stats.sessions {
                session.beats = 0;
            }
            stats
                .sessions
                .sort_by_key(|session| session.session.to_bytes());
            stats
        };
        let model = self.model.stats().await;
        let store = self.store.stats().await;
        same("stats", sorted(model), sorted(store));
    }
}
