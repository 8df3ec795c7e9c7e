//! What clients do, broken.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Flaw, GAP, Namespace};
use crate::store::*;

impl Namespace {
    pub(super) async fn flawed_request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError> {
        let before = self.inner.get(id).await?;
        let before = before.as_ref();
        let status = before.map(|record| record.status);
        match self.flaw {
            Some(Flaw::CancelReadsThenWrites) if status == Some(Status::Queued) => {
                tokio::time::sleep(GAP).await;
                self.inner.request_cancel(id, reason).await?;
                return Ok(Some(CancelAck::Ended));
            }
            Some(Flaw::BackOffCannotBeCancelled)
                if before.is_some_and(|record| record.not_before.is_some()) =>
            {
                return Ok(Some(CancelAck::Unchanged));
            }
            Some(Flaw::CancelEndsAtOnce) if status == Some(Status::Working) => {
                let epoch = before.map_or_else(Epoch::default, |record| record.epoch);
                let end = End::new(Outcome::Cancelled(reason), 0);
                let _ = self.inner.finish(id, epoch, end).await?;
                return Ok(Some(CancelAck::Requested));
            }
            Some(Flaw::TakeoverForgetsTheRequest) if status == Some(Status::Working) => {
                return Ok(Some(CancelAck::Requested));
            }
            Some(Flaw::LastReasonStays) => {
                self.memo().reasons.insert(id, Arc::clone(&reason));
            }
            Some(Flaw::CancelOfTheEnded) if status.is_some_and(Status::is_terminal) => {
                return Ok(Some(CancelAck::Requested));
            }
            Some(Flaw::CancelOfTheUnknown) if status.is_none() => {
                return Ok(Some(CancelAck::Unchanged));
            }
            _ => {}
        }
        self.inner.request_cancel(id, reason).await
    }

    pub(super) async fn flawed_get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        let mut found = self.inner.get(id).await?;
        if let Some(record) = &mut found {
            self.misread_questions(record);
        }
        let mut memo = self.memo();
        let Some(mut record) = found else {
            let expired = memo.records.get(&id).cloned();
            return Ok(expired.filter(|_| self.has(Flaw::GetFindsTheExpired)));
        };
        match self.flaw {
            Some(Flaw::ClaimWritesTwice) if record.status == Status::Queued => {
                record.owner = memo.claiming;
            }
            Some(Flaw::LastEndWins) if record.status.is_terminal() => {
                if let Some(result) = memo.results.get(&id) {
                    record.outcome = Some(Outcome::Completed(Arc::clone(result)));
                }
            }
            Some(Flaw::ResultAheadIsSeen) if record.outcome.is_none() => {
                record.outcome = memo.results.get(&id).cloned().map(Outcome::Completed);
            }
            Some(Flaw::EndForgetsTheRequest) if record.status.is_terminal() => {
                record.cancel = None;
            }
            Some(Flaw::LastReasonStays) => record.cancel = memo.reasons.get(&id).cloned(),
            Some(Flaw::GetIsStale) => {
                let now = Instant::now();
                let (at, known) = memo.read.entry(id).or_insert((now, record.clone()));
                if at.elapsed() < Duration::from_millis(100) {
                    return Ok(Some(known.clone()));
                }
                (*at, *known) = (now, record.clone());
            }
            Some(Flaw::GetFindsTheExpired) => {
                memo.records.insert(id, record.clone());
            }
            Some(Flaw::EndForgetsTheOrigin) if record.status.is_terminal() => {
                record.origin = None;
            }
            Some(Flaw::EndForgetsTheHistory) if record.status.is_terminal() => {
                record.history = None;
            }
            Some(Flaw::TakeoverKeepsTheEpoch) => {
                if let Some(claimed) = memo.records.get(&id) {
                    record.epoch = claimed.epoch;
                }
            }
            _ => {}
        }
        Ok(Some(record))
    }

    pub(super) async fn flawed_log(
        &self,
        id: TaskId,
        limit: usize,
    ) -> Result<Vec<LogLine>, StoreError> {
        let mut lines = self.inner.log(id, limit).await?;
        match self.flaw {
            Some(Flaw::FirstLines) => {
                lines = self.inner.log(id, usize::MAX).await?;
                lines.truncate(limit);
            }
            Some(Flaw::NewestLineFirst) => lines.reverse(),
            Some(
                Flaw::LateLog
                | Flaw::PurgeLeavesTheLog
                | Flaw::PurgeKeepsTheLog
                | Flaw::LinesTwice
                | Flaw::AllLines,
            ) => {
                lines = self.memo().lines.get(&id).cloned().unwrap_or_default();
                if !self.has(Flaw::LinesTwice) {
                    lines.sort_by_key(|line| line.number);
                    lines.dedup();
                }
                let kept = match self.flaw {
                    Some(Flaw::AllLines) => limit,
                    _ => limit.min(LogLine::KEPT),
                };
                lines.drain(..lines.len().saturating_sub(kept));
            }
            _ => {}
        }
        Ok(lines)
    }

    pub(super) async fn flawed_list(
        &self,
        filter: &Filter,
        mut after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let mut wrong = filter.clone();
        match (self.flaw, &mut after) {
            (Some(Flaw::AnyOwner), _) => wrong.owner = Owner::Anybody,
            (Some(Flaw::AnyTool), _) => wrong.tool = None,
            (Some(Flaw::AnyStatus), _) => wrong.status = None,
            (Some(Flaw::FiltersThePage), _) => {
                let all = Filter::of(Owner::Anybody);
                let mut page = self.inner.list(&all, after, limit).await?;
                page.retain(|record| filter.admits(record));
                return Ok(page);
            }
            (Some(Flaw::CursorIsRepeated), Some(after)) => {
                let mut place = self.inner.list(filter, None, usize::MAX).await?;
                place.retain(|record| Cursor::of(record) <= *after);
                place.truncate(limit);
                return Ok(place);
            }
            (Some(Flaw::CursorSkipsItsMoment), Some(after)) => {
                let mut place = self.inner.list(filter, None, usize::MAX).await?;
                place.retain(|record| second(record.created_at) < second(after.created_at));
                place.truncate(limit);
                return Ok(place);
            }
            _ => {}
        }
        let mut listed = self.inner.list(&wrong, after, limit).await?;
        for record in &mut listed {
            match self.flaw {
                Some(Flaw::ListHidesQuestions) => record.input = None,
                Some(Flaw::ListHidesOrigins) => record.origin = None,
                Some(Flaw::ListHidesNotices) => record.notice = None,
                Some(Flaw::ListsHistories) => {
                    let found = self.inner.get(record.id).await?;
                    record.history = found.and_then(|found| found.history);
                }
                _ => {}
            }
        }
        let mut memo = self.memo();
        match self.flaw {
            Some(Flaw::OldestFirst) => listed.reverse(),
            Some(Flaw::NewestOfAMomentLast) => {
                listed.sort_by_key(|record| (Reverse(second(record.created_at)), record.id));
            }
            Some(Flaw::ListsTheExpired) => {
                let present: Vec<TaskId> = listed.iter().map(|record| record.id).collect();
                let known = memo.records.values().cloned();
                listed.extend(known.filter(|record| !present.contains(&record.id)));
                memo.records = listed
                    .iter()
                    .map(|record| (record.id, record.clone()))
                    .collect();
            }
            Some(Flaw::ListsResults) => {
                drop(memo);
                for record in &mut listed {
                    let found = self.inner.get(record.id).await?;
                    record.outcome = found.and_then(|found| found.outcome);
                }
            }
            _ => {}
        }
        Ok(listed)
    }
}

/// What is left of a moment in a store that rounds it.
fn second(moment: Timestamp) -> u64 {
    moment.0 / 1000
}
