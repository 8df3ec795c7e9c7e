//! `reap` and `changes`, broken.

use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future, stream};

use super::{Flaw, Namespace, lock};
use crate::store::*;

impl Namespace {
    pub(super) async fn flawed_reap(&self, mut limit: usize) -> Result<Reaped, StoreError> {
        if self.has(Flaw::ReapsEverything) {
            limit = usize::MAX;
        }
        let mut reaped = self.inner.reap(limit).await?;
        match self.flaw {
            Some(Flaw::SessionsWithoutTasks) if !self.memo().opened.is_empty() => {
                reaped.next = Some(Duration::from_millis(1));
            }
            Some(Flaw::NextIsUnknown) => reaped.next = None,
            Some(Flaw::NextIsFromTheStart) => {
                let mut memo = self.memo();
                let first = memo.next.get_or_insert(reaped.next);
                reaped.next = *first;
            }
            Some(Flaw::NeverReady) => reaped.ready = false,
            Some(Flaw::ReapHidesNotices) => reaped.notices = false,
            Some(Flaw::NoticesForEver) => reaped.notices = self.inner.stats().await?.notices > 0,
            Some(Flaw::NextForgetsNotices) if self.inner.stats().await?.notices > 0 => {
                reaped.next = None;
            }
            Some(Flaw::QueuedIsReady) => {
                let mut queued = Filter::of(Owner::Anybody);
                queued.status = Some(Status::Queued);
                reaped.ready = !self.inner.list(&queued, None, 1).await?.is_empty();
            }
            _ => {}
        }
        Ok(reaped)
    }

    pub(super) fn flawed_changes(&self) -> BoxStream<'static, Change> {
        let flaw = self.flaw;
        if flaw == Some(Flaw::OneReader) {
            let mut memo = self.memo();
            memo.readers += 1;
            if memo.readers > 1 {
                return stream::pending().boxed();
            }
        }
        if flaw == Some(Flaw::ChangesOfAllNamespaces) {
            let all = lock(&self.all);
            return stream::select_all(all.iter().map(|store| store.changes())).boxed();
        }
        if flaw == Some(Flaw::ListensWhenPolled) {
            let inner = Arc::clone(&self.inner);
            return stream::once(async move { inner.changes() })
                .flatten()
                .boxed();
        }
        let quiet = Arc::clone(&self.quiet);
        let told = move |change: &Change| {
            future::ready(match flaw {
                Some(Flaw::QuestionsAreNoNews) => match change {
                    Change::Task(id) => !lock(&quiet).contains(id),
                    _ => true,
                },
                Some(Flaw::NoTaskChanges) => !matches!(change, Change::Task(_)),
                Some(Flaw::NoCancelChanges) => !matches!(change, Change::Cancel(_)),
                Some(Flaw::NoQueuedChanges) => !matches!(change, Change::Queued),
                _ => true,
            })
        };
        self.inner.changes().filter(told).boxed()
    }
}
