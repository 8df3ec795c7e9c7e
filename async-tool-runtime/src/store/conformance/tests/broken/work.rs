//! What workers do, broken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Flaw, GAP, Namespace};
use crate::store::*;

impl Namespace {
    pub(super) async fn flawed_claim(
        &self,
        mut lease: Lease,
        wants: &[Want],
        mut limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let mut wants = wants.to_vec();
        match self.flaw {
            Some(Flaw::ClaimWritesTwice) => {
                self.memo().claiming = Some(lease.session);
                tokio::time::sleep(GAP).await;
                self.memo().claiming = None;
            }
            Some(Flaw::IgnoresRoom) => wants.iter_mut().for_each(|want| want.room = limit),
            Some(Flaw::IgnoresLimit) => limit = usize::MAX,
            Some(Flaw::LimitsBeforeRoom) => {
                let rooms = wants.clone();
                wants.iter_mut().for_each(|want| want.room = limit);
                let oldest = self.inner.claim(lease, &wants, limit).await?;
                return self.give_back_surplus(oldest, &rooms).await;
            }
            Some(Flaw::YoungestFirst) => {
                let order = |claimed: &mut Vec<TaskRecord>| claimed.reverse();
                return self.claim_in_order(lease, &wants, limit, order).await;
            }
            Some(Flaw::ReleaseGoesToTheEnd) => {
                let given_back = self.memo().given_back.clone();
                let order = |claimed: &mut Vec<TaskRecord>| {
                    claimed.sort_by_key(|record| given_back.contains(&record.id));
                };
                return self.claim_in_order(lease, &wants, limit, order).await;
            }
            Some(Flaw::FirstBlocksTheRest) => {
                let queued = self.queued().await?;
                let waits = |record: &TaskRecord| record.not_before.is_some();
                if queued.iter().any(waits) {
                    return Ok(Vec::new());
                }
            }
            Some(Flaw::ClaimDoesNotRenew) => lease.duration = self.left(lease),
            Some(Flaw::SessionsWithoutTasks) => {
                self.memo().opened.insert(lease.session, Instant::now());
            }
            _ => {}
        }
        lease = self.misjudged(lease);
        let mut claimed = self.inner.claim(lease, &wants, limit).await?;
        let mut memo = self.memo();
        for record in &mut claimed {
            memo.records.insert(record.id, record.clone());
            memo.steps.entry(record.id).or_default();
            match self.flaw {
                Some(Flaw::ClaimWithoutArguments) => record.arguments = Arc::default(),
                Some(Flaw::JsonIsRewritten) => {
                    let value: Result<serde_json::Value, _> =
                        serde_json::from_str(&record.arguments);
                    record.arguments =
                        value.map_or_else(|_| Arc::default(), |v| v.to_string().into());
                }
                Some(Flaw::AttemptStays) => record.attempt = 1,
                Some(Flaw::ClaimWithoutHistory) => record.history = None,
                Some(Flaw::EpochStays) => record.epoch = Epoch(1),
                Some(Flaw::StepsOfThisAttempt) => {
                    memo.steps.insert(record.id, Vec::new());
                }
                _ => {}
            }
        }
        if self.has(Flaw::ClaimsTwice) {
            if claimed.is_empty() {
                return Ok(memo.claimed.clone());
            }
            memo.claimed.clone_from(&claimed);
        }
        Ok(claimed)
    }

    async fn give_back_surplus(
        &self,
        claimed: Vec<TaskRecord>,
        rooms: &[Want],
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let mut kept: Vec<TaskRecord> = Vec::new();
        for record in claimed {
            let taken = kept.iter().filter(|kept| kept.tool == record.tool).count();
            if rooms
                .iter()
                .any(|want| want.tool == record.tool && taken < want.room)
            {
                kept.push(record);
                continue;
            }
            let (id, epoch) = (record.id, record.epoch);
            let _ = self.inner.release(id, epoch, Release::NotStarted).await?;
        }
        Ok(kept)
    }

    /// Claims everything, keeps what comes first in another order, and gives
    /// the rest back.
    async fn claim_in_order(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
        order: impl FnOnce(&mut Vec<TaskRecord>),
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let mut wants = wants.to_vec();
        wants.iter_mut().for_each(|want| want.room = usize::MAX);
        let mut claimed = self.inner.claim(lease, &wants, usize::MAX).await?;
        order(&mut claimed);
        for record in claimed.iter().skip(limit) {
            let (id, epoch) = (record.id, record.epoch);
            let _ = self.inner.release(id, epoch, Release::NotStarted).await?;
        }
        claimed.truncate(limit);
        Ok(claimed)
    }

    async fn queued(&self) -> Result<Vec<TaskRecord>, StoreError> {
        let mut queued = Filter::of(Owner::Anybody);
        queued.status = Some(Status::Queued);
        self.inner.list(&queued, None, 100).await
    }

    /// How long the lease lasts that was opened first.
    fn left(&self, lease: Lease) -> Duration {
        let now = Instant::now();
        let opened = *self.memo().opened.entry(lease.session).or_insert(now);
        (opened + lease.duration).saturating_duration_since(now)
    }

    fn misjudged(&self, mut lease: Lease) -> Lease {
        match self.flaw {
            Some(Flaw::DeadTooEarly) => lease.duration /= 4,
            Some(Flaw::NeverDead) => lease.duration *= 1000,
            Some(Flaw::BeatDoesNotRenew) => lease.duration = self.left(lease),
            _ => {}
        }
        lease
    }

    pub(super) async fn flawed_beat(
        &self,
        lease: Lease,
        mut reports: Vec<Report>,
    ) -> Result<Beat, StoreError> {
        let mut listed: Vec<TaskId> = reports.iter().map(|report| report.id).collect();
        for report in &mut reports {
            self.remember_lines(report.id, &report.log);
            let (id, epoch) = (report.id, report.epoch);
            report.epoch = self.any_epoch(Flaw::ReportsOfAnyEpoch, id, epoch).await?;
            match self.flaw {
                Some(Flaw::LogIsLost) => report.log.clear(),
                Some(Flaw::ReportClearsTheHistory) => {
                    report.history.get_or_insert_default();
                }
                Some(Flaw::RevisionIsLost) => report.revision = 0,
                Some(Flaw::LateReports) => {
                    let mut memo = self.memo();
                    memo.reports += 1;
                    report.number += 100 * memo.reports;
                }
                _ => {}
            }
        }
        if self.has(Flaw::ReportsAreLost) {
            reports.clear();
        }
        if self.has(Flaw::BeatReadsThenWrites) {
            let listed = self.listed(lease.session).await?;
            tokio::time::sleep(GAP).await;
            self.inner.beat(lease, reports).await?;
            return Ok(listed);
        }
        let mut beat = self.inner.beat(self.misjudged(lease), reports).await?;
        for owned in &mut beat.owned {
            match self.flaw {
                Some(Flaw::BeatHidesRequests) => owned.cancel = None,
                Some(Flaw::LastReasonStays) => {
                    owned.cancel = self.memo().reasons.get(&owned.id).cloned();
                }
                _ => {}
            }
        }
        if self.has(Flaw::ListsReportedTasks) {
            listed.sort_unstable();
            beat.owned.retain(|owned| listed.contains(&owned.id));
        }
        Ok(beat)
    }

    /// What a beat would list.
    async fn listed(&self, session: SessionId) -> Result<Beat, StoreError> {
        let mut records = self
            .inner
            .list(&Filter::of(Owner::Anybody), None, 100)
            .await?;
        records.retain(|record| record.owner == Some(session));
        Ok(Beat::new(records.iter().map(Owned::of).collect()))
    }

    pub(super) async fn flawed_finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        mut end: End,
    ) -> Result<Result<(), Refused>, StoreError> {
        let epoch = self.any_epoch(Flaw::FinishOfAnyEpoch, id, epoch).await?;
        self.remember_lines(id, &end.log);
        let ahead = self.memo().results.get(&id).cloned();
        match self.flaw {
            Some(Flaw::EndLosesDetails) => {
                if let Outcome::Failed(failure) = &mut end.outcome {
                    failure.details = None;
                }
            }
            Some(Flaw::EndKeepsTheOwner | Flaw::KeyIsNeverFree) => end.lingers = true,
            Some(Flaw::NothingLingers) => end.lingers = false,
            Some(Flaw::EndLosesLog) => end.log.clear(),
            Some(Flaw::ResultAheadIsLost) if end.ahead => {
                end = End::new(Outcome::Completed("null".into()), end.revision);
            }
            Some(Flaw::ResultAheadForEver) if end.ahead => {
                let result = ahead.ok_or_else(|| StoreError::new("no result"))?;
                end = End::new(Outcome::Completed(result), end.revision);
            }
            Some(Flaw::LastEndWins) => {
                if let Outcome::Completed(result) = &end.outcome {
                    self.memo().results.insert(id, Arc::clone(result));
                }
            }
            _ => {}
        }
        match self.inner.finish(id, epoch, end).await? {
            Err(Refused::Terminal) if self.has(Flaw::SecondEndIsFine) => Ok(Ok(())),
            finished => Ok(finished),
        }
    }

    pub(super) async fn flawed_release(
        &self,
        id: TaskId,
        epoch: Epoch,
        mut release: Release,
    ) -> Result<Result<(), Refused>, StoreError> {
        let epoch = self.any_epoch(Flaw::ReleaseOfAnyEpoch, id, epoch).await?;
        match (self.flaw, &mut release) {
            (Some(Flaw::ReleaseCountsTheAttempt), Release::NotStarted) => {
                release = Release::Retry(Retry::new(Duration::ZERO, "again", 0));
            }
            (Some(Flaw::ReleaseGoesToTheEnd), Release::NotStarted) => {
                self.memo().given_back.insert(id);
            }
            (Some(Flaw::RetryAtOnce), Release::Retry(retry)) => retry.after = Duration::ZERO,
            (Some(Flaw::RetryIsMute), Release::Retry(retry)) => retry.message.clear(),
            (Some(Flaw::RetryForgetsTheHistory), Release::Retry(retry)) => retry.history = None,
            (Some(Flaw::ReleaseForgetsTheRequest), _) => {
                let record = self.inner.get(id).await?;
                if record.is_some_and(|record| record.cancel.is_some()) {
                    return Ok(Ok(()));
                }
            }
            (Some(Flaw::StoppedChangesNothing), Release::Stopped) => return Ok(Ok(())),
            _ => {}
        }
        self.inner.release(id, epoch, release).await
    }

    pub(super) async fn flawed_put_result(
        &self,
        id: TaskId,
        epoch: Epoch,
        result: Arc<str>,
    ) -> Result<Result<(), Refused>, StoreError> {
        let epoch = self.any_epoch(Flaw::PutOfAnyEpoch, id, epoch).await?;
        self.memo().results.insert(id, Arc::clone(&result));
        self.inner.put_result(id, epoch, result).await
    }

    pub(super) async fn flawed_record_step(
        &self,
        id: TaskId,
        epoch: Epoch,
        step: StepRecord,
    ) -> Result<Result<(), Refused>, StoreError> {
        let epoch = self.any_epoch(Flaw::StepOfAnyEpoch, id, epoch).await?;
        let recorded = self.inner.record_step(id, epoch, step.clone()).await?;
        if recorded.is_ok() {
            let mut memo = self.memo();
            let steps = memo.steps.entry(id).or_default();
            steps.retain(|known| known.name != step.name);
            steps.push(step);
        }
        Ok(recorded)
    }

    pub(super) async fn flawed_steps(&self, id: TaskId) -> Result<Vec<StepRecord>, StoreError> {
        let mut steps = self.inner.steps(id).await?;
        match self.flaw {
            Some(Flaw::StepsForEver | Flaw::LastStepWins | Flaw::StepsOfThisAttempt) => {
                Ok(self.memo().steps.get(&id).cloned().unwrap_or_default())
            }
            Some(Flaw::AnswerIsNoStep) => {
                steps.retain(|step| !step.name.starts_with(StepRecord::ANSWER));
                Ok(steps)
            }
            Some(Flaw::StepsByName) => {
                steps.sort_by(|left, right| left.name.cmp(&right.name));
                Ok(steps)
            }
            _ => Ok(steps),
        }
    }

    pub(super) fn remember_lines(&self, id: TaskId, lines: &[LogLine]) {
        let mut memo = self.memo();
        memo.lines.entry(id).or_default().extend_from_slice(lines);
    }
}
