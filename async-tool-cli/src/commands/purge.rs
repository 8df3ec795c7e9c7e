//! `purge`: deletes ended tasks before their retention is over.

use async_tool_runtime::TaskId;
use async_tool_runtime::store::{Cursor, Purged, Store, StoreError, TaskRecord};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::Place;
use super::list::{PAGE, has_status};
use crate::args::{PurgeArgs, before};
use crate::failure::{Failure, Verdict};
use crate::output::Out;
use crate::output::text::count;

/// How many tasks are deleted at once: stores write what comes together in one
/// go.
const TOGETHER: usize = 32;

/// How many of those that were left are shown to people.
const SHOWN: usize = 20;

#[derive(Serialize)]
struct Document {
    purged: usize,
    left: Vec<Left>,
}

/// A task that is still there, or was not there at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Left {
    task_id: TaskId,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    NotEnded,
    InUse,
    NotFound,
}

impl Why {
    fn told(self) -> &'static str {
        match self {
            Self::NotEnded => "has not ended; `cancel` asks it to stop",
            Self::InUse => "its body goes on, or somebody is yet to be told of its end",
            Self::NotFound => "not found in this namespace",
        }
    }
}

/// Deletes what `args` mean, if `confirm` says yes to the question that it is
/// asked.
pub(super) async fn run(
    place: &Place,
    args: &PurgeArgs,
    confirm: &mut dyn FnMut(&str) -> Result<bool, Failure>,
    out: &mut Out<'_>,
) -> Result<Verdict, Failure> {
    let by_id = !args.ids.is_empty();
    let ids = if by_id {
        args.ids.clone()
    } else {
        select(place, args).await?
    };
    let question = format!("Delete {}?", count(ids.len(), "ended task"));
    if !ids.is_empty() && !args.yes && !confirm(&question)? {
        out.note("nothing was deleted")?;
        return Ok(Verdict::Amiss);
    }
    let mut document = purge(place, ids).await?;
    if !by_id {
        // They went in the meantime, as they were to.
        document.left.retain(|left| left.why != Why::NotFound);
    }
    if out.json {
        out.json(&document)?;
    } else {
        out.line(format_args!("deleted {}", count(document.purged, "task")))?;
        for left in document.left.iter().take(SHOWN) {
            out.line(format_args!("left {}: {}", left.task_id, left.why.told()))?;
        }
        let more = document.left.len().saturating_sub(SHOWN);
        if more > 0 {
            out.line(format_args!("left {more} more"))?;
        }
    }
    // Who names a task wants that one gone.
    Ok(if by_id && !document.left.is_empty() {
        Verdict::Amiss
    } else {
        Verdict::Well
    })
}

/// The ended tasks that `args` describe.
async fn select(place: &Place, args: &PurgeArgs) -> Result<Vec<TaskId>, Failure> {
    let unlimited = args.which.is_all() && args.status.is_empty() && args.older_than.is_none();
    if unlimited && !args.all {
        return Err(Failure::Usage(
            "which tasks? Give their ids, or say it by --older-than, --status, --tool or \
             --principal; `--all` means all that have ended"
                .to_owned(),
        ));
    }
    let mut filter = args.which.filter();
    if let [status] = args.status[..] {
        filter.status = Some(status);
    }
    let ended_by = match args.older_than {
        Some(age) => Some(before(place.store.stats().await?.at, age)),
        None => None,
    };
    let is_meant = |record: &TaskRecord| {
        record.status.is_terminal()
            && has_status(record, &args.status)
            && ended_by.is_none_or(|moment| record.finished_at.is_some_and(|at| at <= moment))
    };
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let records = place.store.list(&filter, after, PAGE).await?;
        let Some(last) = records.last() else {
            return Ok(ids);
        };
        after = Some(Cursor::of(last));
        ids.extend(records.iter().filter(|it| is_meant(it)).map(|it| it.id));
    }
}

async fn purge(place: &Place, ids: Vec<TaskId>) -> Result<Document, StoreError> {
    let purged = stream::iter(ids)
        .map(async |id| one(&*place.store, id).await)
        .buffered(TOGETHER);
    let left: Vec<Option<Left>> = purged.try_collect().await?;
    Ok(Document {
        purged: left.iter().filter(|left| left.is_none()).count(),
        left: left.into_iter().flatten().collect(),
    })
}

/// None if it is gone now.
async fn one(store: &dyn Store, id: TaskId) -> Result<Option<Left>, StoreError> {
    let why = match store.purge(id).await? {
        Some(Purged::Gone) => return Ok(None),
        Some(Purged::NotEnded) => Why::NotEnded,
        None => Why::NotFound,
        // In use, or for a reason that a later version has.
        Some(_) => Why::InUse,
    };
    Ok(Some(Left { task_id: id, why }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_tool_runtime::store::Status;

    use super::super::testing::{completed, empty, failed, task};
    use super::*;
    use crate::args::Which;
    use crate::output::{Written, written};

    async fn purged(place: &Place, args: &PurgeArgs) -> (Verdict, Written) {
        let mut never = |question: &str| panic!("{question}");
        let (done, text) = written(true, async |out| run(place, args, &mut never, out).await).await;
        (done.expect("an answer"), text)
    }

    fn yes() -> PurgeArgs {
        PurgeArgs {
            yes: true,
            ..PurgeArgs::default()
        }
    }

    #[tokio::test]
    async fn ids_are_answered_one_by_one() {
        let place = empty().await;
        let mut told = task("build");
        told.notify = true;
        let told = place.create(told).await;
        let (record, _) = place.claim("build").await;
        place.end(&record, completed()).await;
        let ended = place.ended("build", completed()).await;
        let queued = place.queued("build").await;
        let unknown = TaskId::random();
        let ids = vec![ended, queued, told, unknown];
        let (verdict, text) = purged(&place, &PurgeArgs { ids, ..yes() }).await;
        assert_eq!(verdict, Verdict::Amiss);
        let document = text.document();
        assert_eq!(document["purged"], 1);
        assert_eq!(
            document["left"],
            serde_json::json!([
                { "task_id": queued, "why": "not_ended" },
                { "task_id": told, "why": "in_use" },
                { "task_id": unknown, "why": "not_found" },
            ])
        );
    }

    #[tokio::test]
    async fn filters_choose_ended_tasks() {
        let place = empty().await;
        let kept = place.ended("build", completed()).await;
        let broken = place.ended("build", failed("no space")).await;
        let other = place.ended("deploy", failed("no space")).await;
        let queued = place.queued("build").await;
        let args = PurgeArgs {
            which: Which {
                tool: Some("build".to_owned()),
                ..Which::default()
            },
            status: vec![Status::Failed, Status::Cancelled],
            ..yes()
        };
        let (verdict, text) = purged(&place, &args).await;
        assert_eq!(verdict, Verdict::Well);
        assert_eq!(text.document()["purged"], 1);
        let is_there = async |id| place.store.get(id).await.expect("an answer").is_some();
        assert!(!is_there(broken).await);
        assert!(is_there(kept).await && is_there(other).await && is_there(queued).await);
        let (_, text) = purged(&place, &PurgeArgs { all: true, ..yes() }).await;
        assert_eq!(
            text.document(),
            serde_json::json!({ "purged": 2, "left": [] })
        );
        assert!(is_there(queued).await);
    }

    #[tokio::test]
    async fn what_ended_later_stays() {
        let place = empty().await;
        place.ended("build", completed()).await;
        let older_than = |age| PurgeArgs {
            older_than: Some(age),
            ..yes()
        };
        let (_, text) = purged(&place, &older_than(Duration::from_secs(3600))).await;
        assert_eq!(text.document()["purged"], 0);
        let (_, text) = purged(&place, &older_than(Duration::ZERO)).await;
        assert_eq!(text.document()["purged"], 1);
    }

    #[tokio::test]
    async fn nothing_is_deleted_without_a_yes() {
        let place = empty().await;
        let id = place.ended("build", completed()).await;
        let args = PurgeArgs {
            all: true,
            ..PurgeArgs::default()
        };
        let mut asked = Vec::new();
        let mut no = |question: &str| {
            asked.push(question.to_owned());
            Ok(false)
        };
        let (done, _) = written(false, async |out| run(&place, &args, &mut no, out).await).await;
        assert_eq!(done.expect("an answer"), Verdict::Amiss);
        assert_eq!(asked, ["Delete 1 ended task?"]);
        assert!(place.store.get(id).await.expect("an answer").is_some());
    }

    #[tokio::test]
    async fn all_must_be_said() {
        let place = empty().await;
        let mut no = |_: &str| Ok(false);
        let args = PurgeArgs::default();
        let (done, _) = written(false, async |out| run(&place, &args, &mut no, out).await).await;
        assert!(matches!(done, Err(Failure::Usage(_))), "{done:?}");
    }
}
