//! Notices, broken.

use std::sync::Arc;

use super::{Flaw, GAP, Namespace};
use crate::store::*;

impl Namespace {
    pub(super) async fn flawed_claim_notices(
        &self,
        mut pause: Duration,
        mut limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        match self.flaw {
            Some(Flaw::NewestNoticeFirst) => {
                let mut claimed = self.inner.claim_notices(pause, usize::MAX).await?;
                claimed.reverse();
                claimed.truncate(limit);
                return Ok(claimed);
            }
            Some(Flaw::NoticesWithoutLimit) => limit = usize::MAX,
            Some(Flaw::NoticeAtOnceAgain) => pause = Duration::ZERO,
            Some(Flaw::NoticeNeverAgain) => pause *= 1000,
            Some(Flaw::NoticeIsReadThenClaimed) => {
                let now = self.inner.stats().await?.at;
                let all = Filter::of(Owner::Anybody);
                let mut due = self.inner.list(&all, None, limit).await?;
                due.retain(|record| due_at(record).is_some_and(|due| due <= now));
                tokio::time::sleep(GAP).await;
                self.inner.claim_notices(pause, limit).await?;
                return Ok(due);
            }
            _ => {}
        }
        let mut claimed = self.inner.claim_notices(pause, limit).await?;
        if self.has(Flaw::NoticesOfTheExpired) {
            let known: Vec<TaskRecord> = self.memo().records.values().cloned().collect();
            for record in known {
                if record.notice.is_some() && self.inner.get(record.id).await?.is_none() {
                    claimed.push(record);
                }
            }
        }
        let mut memo = self.memo();
        match self.flaw {
            Some(Flaw::OnlyWorkersAreTold) => {
                claimed.retain(|record| record.status == Status::Completed);
            }
            Some(Flaw::NoticeWithoutResult) => {
                for record in &mut claimed {
                    if let Some(Outcome::Completed(result)) = &mut record.outcome {
                        *result = Arc::default();
                    }
                }
            }
            Some(Flaw::QuestionsAreNotTold) => {
                claimed.retain(|record| record.status != Status::InputRequired);
            }
            Some(Flaw::LaterNoticeWaits) => {
                let state = Arc::<str>::from("");
                claimed.retain(|it| memo.told.insert(it.id, Arc::clone(&state)).is_none());
            }
            Some(Flaw::StateStays) => {
                for record in &mut claimed {
                    let state = memo.told.get(&record.id).cloned();
                    if let Some(notice) = &mut record.notice {
                        notice.state = state;
                    }
                }
            }
            _ => {}
        }
        Ok(claimed)
    }

    pub(super) async fn flawed_settle_notice(&self, mut told: Told) -> Result<bool, StoreError> {
        let kept = self.inner.get(told.id).await?;
        let kept = kept.and_then(|record| record.notice);
        match (self.flaw, kept) {
            (Some(Flaw::SettledComesAgain), _) if told.again.is_none() => {
                told.again = Some(Duration::ZERO);
            }
            (Some(Flaw::NextTryAtOnce), _) => {
                told.again = told.again.map(|_| Duration::ZERO);
            }
            (Some(Flaw::NextTryNever), _) => told.again = None,
            (Some(Flaw::SettleOfAnyClaim), Some(kept)) => told.due = kept.due.unwrap_or(told.due),
            (Some(Flaw::SettleOfAnyNumber), Some(kept)) => told.number = kept.number,
            (Some(Flaw::StateIsLost), _) => told.state = "null".into(),
            (Some(Flaw::StateStays), _) => {
                let state = Arc::clone(&told.state);
                self.memo().told.insert(told.id, state);
            }
            _ => {}
        }
        let settled = self.inner.settle_notice(told).await?;
        Ok(settled || self.has(Flaw::SettleIsAlwaysFine))
    }
}

fn due_at(record: &TaskRecord) -> Option<Timestamp> {
    record.notice.as_ref()?.due
}
