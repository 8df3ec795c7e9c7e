//! `cancel`: asks tasks to stop.

use std::sync::Arc;

use async_tool_runtime::TaskId;
use async_tool_runtime::store::{CancelAck, Status};
use serde::Serialize;

use super::Place;
use crate::args::CancelArgs;
use crate::failure::{Failure, Verdict};
use crate::output::Out;

#[derive(Serialize)]
struct Document {
    tasks: Vec<Cancelled>,
}

#[derive(Serialize)]
struct Cancelled {
    task_id: TaskId,
    came_to: CameTo,
    /// Where the task stands, unless it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum CameTo {
    Cancelled,
    Asked,
    AskedBefore,
    EndedBefore,
    NotFound,
}

pub(super) async fn run(
    place: &Place,
    args: &CancelArgs,
    out: &mut Out<'_>,
) -> Result<Verdict, Failure> {
    let reason: Arc<str> = args.reason.as_str().into();
    let mut tasks = Vec::new();
    for id in &args.ids {
        let task = cancel(place, *id, &reason).await?;
        if !out.json {
            out.line(format_args!("{id}  {}", told(&task)))?;
        }
        tasks.push(task);
    }
    let missing = tasks.iter().any(|task| task.came_to == CameTo::NotFound);
    if out.json {
        out.json(&Document { tasks })?;
    }
    Ok(if missing {
        Verdict::Amiss
    } else {
        Verdict::Well
    })
}

async fn cancel(place: &Place, id: TaskId, reason: &Arc<str>) -> Result<Cancelled, Failure> {
    let ack = place.store.request_cancel(id, Arc::clone(reason)).await?;
    let status = match ack {
        Some(_) => place.store.get(id).await?.map(|record| record.status),
        None => None,
    };
    let came_to = match ack {
        None => CameTo::NotFound,
        Some(CancelAck::Ended) => CameTo::Cancelled,
        Some(CancelAck::Requested) => CameTo::Asked,
        Some(_) if status.is_some_and(Status::is_terminal) => CameTo::EndedBefore,
        Some(_) => CameTo::AskedBefore,
    };
    Ok(Cancelled {
        task_id: id,
        came_to,
        status,
    })
}

fn told(task: &Cancelled) -> String {
    match (task.came_to, task.status) {
        (CameTo::Cancelled, _) => "cancelled; it had not begun".to_owned(),
        (CameTo::Asked, _) => {
            "its worker was asked to stop it; `show` tells how it ends".to_owned()
        }
        (CameTo::AskedBefore, _) => "had been asked to stop before".to_owned(),
        (CameTo::EndedBefore, Some(status)) => format!("had ended before: {status}"),
        (CameTo::EndedBefore, None) => "had ended before".to_owned(),
        (CameTo::NotFound, _) => "not found in this namespace".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, empty};
    use super::*;
    use crate::output::written;

    #[tokio::test]
    async fn each_task_gets_its_answer() {
        let place = empty().await;
        let ended = place.ended("build", completed()).await;
        let working = place.working("build").await.id;
        let queued = place.queued("build").await;
        let args = |ids: &[TaskId]| CancelArgs {
            ids: ids.to_vec(),
            reason: "maintenance".to_owned(),
        };
        let all = args(&[queued, working, working, ended]);
        let (done, text) = written(true, async |out| run(&place, &all, out).await).await;
        assert_eq!(done.expect("an answer"), Verdict::Well);
        let document = text.document();
        let came_to = |index: usize| document["tasks"][index]["came_to"].as_str();
        assert_eq!(came_to(0), Some("cancelled"));
        assert_eq!(came_to(1), Some("asked"));
        assert_eq!(came_to(2), Some("asked_before"));
        assert_eq!(came_to(3), Some("ended_before"));
        assert_eq!(document["tasks"][3]["status"], "completed");
        let record = place.store.get(working).await.expect("an answer");
        let reason = record.and_then(|record| record.cancel);
        assert_eq!(reason.as_deref(), Some("maintenance"));
    }

    #[tokio::test]
    async fn an_unknown_task_is_amiss() {
        let place = empty().await;
        let args = CancelArgs {
            ids: vec![TaskId::random()],
            reason: String::new(),
        };
        let (done, text) = written(false, async |out| run(&place, &args, out).await).await;
        assert_eq!(done.expect("an answer"), Verdict::Amiss);
        assert!(
            text.out.ends_with("  not found in this namespace\n"),
            "{}",
            text.out
        );
    }
}
