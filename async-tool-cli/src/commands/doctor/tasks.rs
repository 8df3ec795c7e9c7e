//! Tasks that should not be as they are: nobody takes them, ends them, or tells
//! of them.

use std::time::Duration;

use async_tool_runtime::TaskId;
use async_tool_runtime::store::{
    Cursor, Filter, Owner, Stats, Status, StoreError, TaskRecord, Timestamp,
};

use super::findings::Finding;
use crate::commands::Place;
use crate::commands::list::PAGE;
use crate::commands::show::deliveries;
use crate::output::text::{count, short};

/// How many tasks of a status are looked at, the newest first.
const LOOKED_AT: usize = 10_000;

/// Longer than a living worker leaves a task that is over its deadline, or that
/// it could take: leases are seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than a notice waits for whoever tells notices; what has been tried in
/// vain is not due but for later.
const NOTICE_PATIENCE: Duration = Duration::from_secs(600);

pub(super) async fn examine(
    place: &Place,
    stats: &Stats,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let now = stats.at;
    let found = [
        unattended(place, stats).await?,
        overdue(place, now).await?,
        untold(place, stats).await?,
        given_up(place).await?,
    ];
    let found = found.into_iter().flatten();
    findings.extend(found.map(|it| it.in_namespace(&place.namespace)));
    Ok(())
}

/// Tasks that could run, and nobody who works on anything.
async fn unattended(place: &Place, stats: &Stats) -> Result<Option<Finding>, StoreError> {
    let now = stats.at;
    let oldest = stats.oldest_queued();
    if !stats.sessions.is_empty() || oldest.is_none_or(|oldest| now.since(oldest) < PATIENCE) {
        return Ok(None);
    }
    let waiting = |record: &TaskRecord| {
        let ready = record.not_before.unwrap_or(record.created_at);
        now.since(ready) >= PATIENCE
    };
    let ids = look(place, Some(Status::Queued), waiting).await?;
    if ids.is_empty() {
        return Ok(None);
    }
    let what = format!(
        "{} could run for more than {}, and nobody works on anything",
        count(ids.len(), "task"),
        short(PATIENCE)
    );
    let advice = "start a worker that has these tools, with slots, on this store and namespace; if \
                  there is one, look into its health for open circuit breakers";
    Ok(Some(
        Finding::new("unattended", what, advice).with_tasks(&ids),
    ))
}

/// Tasks that should have ended.
async fn overdue(place: &Place, now: Timestamp) -> Result<Option<Finding>, StoreError> {
    let is_overdue = |record: &TaskRecord| now.since(record.deadline) >= PATIENCE;
    let mut ids = Vec::new();
    for status in [Status::Queued, Status::Working, Status::InputRequired] {
        ids.extend(look(place, Some(status), is_overdue).await?);
    }
    if ids.is_empty() {
        return Ok(None);
    }
    let what = format!(
        "{} should have ended more than {} ago, by its deadline",
        count(ids.len(), "task"),
        short(PATIENCE)
    );
    let advice = "any living worker of the namespace ends what is overdue: start one, or look into \
                  the logs of those that run";
    Ok(Some(Finding::new("overdue", what, advice).with_tasks(&ids)))
}

/// Notices that somebody should have told long ago.
async fn untold(place: &Place, stats: &Stats) -> Result<Option<Finding>, StoreError> {
    if stats.notices == 0 {
        return Ok(None);
    }
    let is_untold = |record: &TaskRecord| {
        let due = record.notice.as_ref().and_then(|notice| notice.due);
        due.is_some_and(|due| stats.at.since(due) >= NOTICE_PATIENCE)
    };
    let ids = look(place, None, is_untold).await?;
    if ids.is_empty() {
        return Ok(None);
    }
    let what = format!(
        "nobody has told of the end of {} for more than {}",
        count(ids.len(), "task"),
        short(NOTICE_PATIENCE)
    );
    let advice = "start a server with webhooks on this store and namespace, or look into its logs";
    Ok(Some(Finding::new("untold", what, advice).with_tasks(&ids)))
}

/// Notices that were tried in vain for so long that nobody tries any more.
async fn given_up(place: &Place) -> Result<Option<Finding>, StoreError> {
    let is_given_up =
        |record: &TaskRecord| record.notice.as_ref().is_some_and(deliveries::is_given_up);
    let ids = look(place, None, is_given_up).await?;
    if ids.is_empty() {
        return Ok(None);
    }
    let what = format!("the webhooks of {} were given up", count(ids.len(), "task"));
    let advice = "`show` says why; repair the receiver, have it read these tasks, and `purge` them";
    Ok(Some(
        Finding::new("given_up", what, advice).with_tasks(&ids),
    ))
}

/// The ids of tasks of which something is true, among the newest.
async fn look(
    place: &Place,
    status: Option<Status>,
    is_wrong: impl Fn(&TaskRecord) -> bool,
) -> Result<Vec<TaskId>, StoreError> {
    let mut filter = Filter::of(Owner::Anybody);
    filter.status = status;
    let (mut ids, mut looked_at, mut after) = (Vec::new(), 0, None);
    while looked_at < LOOKED_AT {
        let records = place.store.list(&filter, after, PAGE).await?;
        let Some(last) = records.last() else {
            break;
        };
        after = Some(Cursor::of(last));
        looked_at += records.len();
        ids.extend(records.iter().filter(|it| is_wrong(it)).map(|it| it.id));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use async_tool_runtime::store::Told;

    use super::super::super::testing::{completed, empty, task};
    use super::*;

    /// What is found at a later time, as if the store's clock had gone on.
    async fn later(place: &Place, by: Duration) -> Vec<Finding> {
        let mut stats = place.store.stats().await.expect("stats");
        stats.at = stats.at.plus(by);
        let mut findings = Vec::new();
        let examined = examine(place, &stats, &mut findings).await;
        examined.expect("an examination");
        findings
    }

    fn codes(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.code).collect()
    }

    const SOON: Duration = Duration::from_secs(50);
    const LATER: Duration = Duration::from_secs(70);

    #[tokio::test]
    async fn a_queue_without_workers_is_found() {
        let place = empty().await;
        let id = place.queued("build").await;
        assert!(later(&place, SOON).await.is_empty());
        let findings = later(&place, LATER).await;
        assert_eq!(codes(&findings), ["unattended"]);
        assert_eq!(findings[0].task_ids, [id]);
        assert_eq!(findings[0].namespace.as_deref(), Some("default"));
        // Somebody works: the queue is long, that is all.
        place.queued("build").await;
        place.claim("build").await;
        assert!(later(&place, LATER).await.is_empty());
    }

    #[tokio::test]
    async fn what_should_have_ended_is_found() {
        let place = empty().await;
        let mut new = task("build");
        new.max_wait = Duration::from_secs(1);
        let working = place.create(new).await;
        place.claim("build").await;
        assert!(later(&place, SOON).await.is_empty());
        let findings = later(&place, LATER).await;
        assert_eq!(codes(&findings), ["overdue"]);
        assert_eq!(findings[0].task_ids, [working]);
    }

    #[tokio::test]
    async fn notices_that_nobody_tells_are_found() {
        let place = empty().await;
        let mut new = task("build");
        new.notify = true;
        place.create(new).await;
        let (record, _) = place.claim("build").await;
        place.end(&record, completed()).await;
        assert!(later(&place, LATER).await.is_empty());
        let findings = later(&place, Duration::from_secs(700)).await;
        assert_eq!(codes(&findings), ["untold"]);
        assert_eq!(findings[0].task_ids, [record.id]);
        // Somebody tries at last, and gives up.
        let claimed = place.store.claim_notices(LATER, 1).await.expect("it");
        let state = r#"{"targets":{"ops":{"outcome":"given_up","tries":8}}}"#;
        let told = Told::of(&claimed[0], state).expect("what is due");
        assert!(place.store.settle_notice(told).await.expect("an answer"));
        let findings = later(&place, LATER).await;
        assert_eq!(codes(&findings), ["given_up"]);
        assert_eq!(findings[0].task_ids, [record.id]);
    }
}
