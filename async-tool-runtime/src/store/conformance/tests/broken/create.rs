//! `create`, broken.

use super::{Flaw, GAP, Namespace, PoisonOnDrop};
use crate::store::*;

impl Namespace {
    pub(super) async fn flawed_create(
        &self,
        mut new: NewTask,
        mut admission: Admission,
    ) -> Result<Created, StoreError> {
        let key = new.key.as_ref().map(|key| key.key.clone());
        match self.flaw {
            Some(Flaw::DropPoisons) => {
                if self.memo().poisoned {
                    return Err(StoreError::new("a transaction is open already"));
                }
                let mut guard = PoisonOnDrop(self, true);
                tokio::task::yield_now().await;
                guard.1 = false;
            }
            Some(Flaw::DropLeavesAKey) => {
                if let Some(key) = key {
                    let scope = format!("{} {key}", new.tool).into();
                    let known = *self.memo().keys.entry(scope).or_insert(new.id);
                    tokio::task::yield_now().await;
                    if known != new.id {
                        let record = self.inner.get(known).await?;
                        let dangling = || StoreError::new("the key names no task");
                        return Ok(Created::Existing(record.ok_or_else(dangling)?));
                    }
                }
            }
            Some(Flaw::ReplayNeedsRoom) if key.is_some() && admission.queue == 0 => {
                return Ok(Created::Full(Limit::Queue(0)));
            }
            Some(Flaw::KeysOfAllPrincipals | Flaw::CreateLosesThePrincipal) => {
                new.principal = None;
            }
            Some(Flaw::NobodyHasNoName) => {
                let nobody = || Principal::new("");
                new.principal = Some(new.principal.unwrap_or_else(nobody));
            }
            Some(Flaw::KeysOfAllTools) => {
                if let Some(key) = key {
                    let scope = format!("{:?} {key}", new.principal).into();
                    let known = *self.memo().keys.entry(scope).or_insert(new.id);
                    if let Some(record) = self.inner.get(known).await? {
                        return Ok(Created::Existing(record));
                    }
                }
            }
            Some(Flaw::NeverJoins) => new.dedupe = None,
            Some(Flaw::JoinLosesTheKey) if new.dedupe.is_some() => new.key = None,
            Some(Flaw::JoinsTheCancelled) => {
                if let Some(dedupe) = new.dedupe.filter(|_| key.is_none()) {
                    let known = *self.memo().shared.entry(dedupe).or_insert(new.id);
                    if let Some(record) = self.inner.get(known).await?
                        && !record.status.is_terminal()
                    {
                        return Ok(Created::Existing(record));
                    }
                }
            }
            Some(Flaw::CreateNeverClaims) => admission.claim = None,
            Some(Flaw::QueueWithoutLimit) => {
                (admission.queue, admission.tool_queue) = (usize::MAX, usize::MAX);
            }
            Some(Flaw::WorkingTasksCount) => {
                let all = Filter::of(Owner::Anybody);
                let mut waiting = self.inner.list(&all, None, 100).await?;
                waiting.retain(|record| !record.status.is_terminal());
                if admission.claim.is_none() && waiting.len() >= admission.queue {
                    return Ok(Created::Full(Limit::Queue(admission.queue)));
                }
            }
            Some(Flaw::SlotsDoNotCount) => {
                let mut queued = Filter::of(Owner::Anybody);
                queued.status = Some(Status::Queued);
                let queued = self.inner.list(&queued, None, 100).await?.len();
                if queued >= admission.queue {
                    return Ok(Created::Full(Limit::Queue(admission.queue)));
                }
            }
            Some(Flaw::PrincipalsWithoutLimit) => admission.principal_queue = None,
            Some(Flaw::SlotsBeatThePrincipal) if admission.claim.is_some() => {
                admission.principal_queue = None;
            }
            Some(Flaw::NobodyIsAPrincipal | Flaw::WorkingTasksOfThePrincipal) => {
                let working = self.has(Flaw::WorkingTasksOfThePrincipal);
                if let Some(limit) = admission.principal_queue
                    && (working || new.principal.is_none())
                {
                    let owner = new.principal.clone();
                    let own = Filter::of(owner.map_or(Owner::Nobody, Owner::Principal));
                    let mut own = self.inner.list(&own, None, 100).await?;
                    own.retain(|record| match working {
                        true => !record.status.is_terminal(),
                        false => record.status == Status::Queued,
                    });
                    if key.is_none() && new.principal.is_some() == working && own.len() >= limit {
                        return Ok(Created::Full(Limit::PrincipalQueue(limit)));
                    }
                }
            }
            Some(Flaw::OriginIsLost) => new.origin = None,
            Some(Flaw::EverybodyIsTold) => new.notify = true,
            Some(Flaw::KeyIsReadThenWritten) => {
                if let Some(key) = key {
                    let known = self.memo().keys.get(&key).copied();
                    if let Some(known) = known
                        && let Some(record) = self.inner.get(known).await?
                    {
                        return Ok(Created::Existing(record));
                    }
                    tokio::time::sleep(GAP).await;
                    self.memo().keys.insert(key, new.id);
                    new.key = None;
                }
            }
            Some(Flaw::HeldKeysAreReady) => {
                let unlimited = |held: &ConcurrencyLimit| {
                    ConcurrencyLimit::new(Arc::clone(&held.key), u32::MAX)
                };
                new.concurrency = new.concurrency.iter().map(unlimited).collect();
            }
            Some(Flaw::FirstKeyIsEnough) => {
                new.concurrency = new.concurrency.first().cloned().into_iter().collect();
            }
            Some(Flaw::LastKeyIsEnough) => {
                new.concurrency = new.concurrency.last().cloned().into_iter().collect();
            }
            Some(Flaw::KeyOfEachTool) => {
                let own = |held: &ConcurrencyLimit| {
                    ConcurrencyLimit::new(format!("{} {}", new.tool, held.key), held.limit)
                };
                new.concurrency = new.concurrency.iter().map(own).collect();
            }
            Some(Flaw::NeverAgain) => new.max_attempts = 1,
            Some(Flaw::AgainForEver) => new.max_attempts = u32::MAX,
            Some(Flaw::DeadlineTooEarly) => new.max_wait /= 4,
            Some(Flaw::NoDeadline) => new.max_wait *= 1000,
            Some(Flaw::PurgeTooEarly) => new.retention /= 4,
            _ => {}
        }
        let created = self.inner.create(new.clone(), admission).await?;
        self.flawed_created(new, admission, created).await
    }

    async fn flawed_created(
        &self,
        mut new: NewTask,
        admission: Admission,
        created: Created,
    ) -> Result<Created, StoreError> {
        match (self.flaw, created) {
            (Some(Flaw::ConflictIsReplay), Created::Conflict(id)) => {
                let record = self.inner.get(id).await?;
                Ok(record.map_or(Created::Conflict(id), Created::Existing))
            }
            (Some(Flaw::ConflictIsStored), Created::Conflict(id)) => {
                new.key = None;
                self.inner.create(new, admission).await?;
                Ok(Created::Conflict(id))
            }
            (Some(Flaw::KeyDiesWithTheTask), Created::Existing(record))
                if record.status.is_terminal() =>
            {
                new.key = None;
                self.inner.create(new, admission).await
            }
            (Some(Flaw::KeyLivesForEver | Flaw::PurgeKeepsTheKey), Created::New(record)) => {
                let Some(key) = new.key else {
                    return Ok(Created::New(record));
                };
                let mut memo = self.memo();
                let first = *memo.keys.entry(key.key).or_insert(record.id);
                let first = memo.records.entry(first).or_insert(record);
                Ok(match first.id == new.id {
                    true => Created::New(first.clone()),
                    false => Created::Existing(first.clone()),
                })
            }
            (Some(Flaw::KeysWithoutLimit), Created::Full(Limit::Keys(_))) => {
                new.key = None;
                self.inner.create(new, admission).await
            }
            (Some(Flaw::CreateClaimsUnasked), Created::New(record))
                if record.status == Status::Queued =>
            {
                let lease = Lease::new(SessionId::random(), Duration::from_secs(60));
                let wants = [Want::new(record.tool.clone(), 1)];
                let claimed = self.inner.claim(lease, &wants, 1).await?;
                Ok(Created::New(claimed.into_iter().next().unwrap_or(record)))
            }
            (Some(Flaw::Overtakes), Created::New(record)) => {
                let Some(lease) = admission.claim else {
                    return Ok(Created::New(record));
                };
                let wants = [Want::new(record.tool.clone(), 1)];
                let claimed = self.inner.claim(lease, &wants, 1).await?;
                let claimed = claimed.into_iter().find(|claimed| claimed.id == record.id);
                Ok(Created::New(claimed.unwrap_or(record)))
            }
            (Some(Flaw::ArgumentsForEver), Created::Existing(mut record)) => {
                record.arguments = new.arguments;
                Ok(Created::Existing(record))
            }
            (_, created) => Ok(created),
        }
    }
}
