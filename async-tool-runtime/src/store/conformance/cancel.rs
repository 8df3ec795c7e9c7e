//! Asking tasks to stop.

use super::check::Outcome;
use super::space::{LONG, MANY, Space, cancelled, completed, ids, result, steady, task};
use crate::store::{CancelAck, Status, TaskId};

cases![
    cancel_ends_a_queued_task,
    cancel_asks_a_working_task,
    the_first_reason_to_cancel_stays,
    cancel_leaves_an_ended_task,
    cancel_finds_no_unknown_task,
];

async fn cancel_ends_a_queued_task(Space { one, other, .. }: Space) -> Outcome {
    let queued = one.queue("t").await?;
    let backed_off = one.start(steady(), task("u")).await?;
    one.retry(&backed_off, LONG).await?;
    for id in [queued.id, backed_off.id] {
        let before = one.read(id).await?;
        ensure_eq!(other.cancel(id, "it's ✓").await?, CancelAck::Ended);
        let ended = one.read(id).await?;
        ensure_eq!(ended.status, Status::Cancelled);
        ensure_eq!(cancelled(&ended), Some("it's ✓"));
        ensure!(ended.finished_at.is_some(), "it ended at no time");
        ensure!(ended.revision > before.revision, "no new revision");
    }
    ensure_eq!(ids(&one.take(steady(), "t").await?), []);
    Ok(())
}

async fn cancel_asks_a_working_task(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    for reason in ["enough", ""] {
        let record = one.start(lease, task("t")).await?;
        ensure_eq!(other.cancel(record.id, reason).await?, CancelAck::Requested);
        let asked = one.read(record.id).await?;
        ensure_eq!((asked.status, asked.epoch), (Status::Working, record.epoch));
        ensure_eq!(asked.cancel.as_deref(), Some(reason));
        ensure_eq!(asked.owner, Some(lease.session));
        ensure!(asked.revision > record.revision, "no new revision");
        // It may still end as it likes.
        one.complete(&record, "1").await?;
        let ended = other.read(record.id).await?;
        ensure_eq!(
            (ended.status, result(&ended)),
            (Status::Completed, Some("1"))
        );
        ensure_eq!(ended.cancel.as_deref(), Some(reason));
    }
    Ok(())
}

async fn the_first_reason_to_cancel_stays(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let record = one.start(lease, task("t")).await?;
    ensure_eq!(
        other.cancel(record.id, "first").await?,
        CancelAck::Requested
    );
    let asked = one.read(record.id).await?;
    ensure_eq!(one.cancel(record.id, "second").await?, CancelAck::Unchanged);
    ensure!(one.read(record.id).await? == asked, "the task changed");
    let beat = one.beat(lease, Vec::new()).await?;
    let reason = beat.owned.first().and_then(|owned| owned.cancel.as_deref());
    ensure_eq!(reason, Some("first"));
    Ok(())
}

async fn cancel_leaves_an_ended_task(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), task("t")).await?;
    one.complete(&record, "1").await?;
    let lingering = one.start(steady(), task("t")).await?;
    let end = completed(&lingering, "1").lingering();
    ensure_eq!(
        one.finish(lingering.id, lingering.epoch, end).await?,
        Ok(())
    );
    let queued = one.queue("t").await?;
    one.cancel(queued.id, "first").await?;
    for id in [record.id, lingering.id, queued.id] {
        let ended = one.read(id).await?;
        ensure_eq!(other.cancel(id, "late").await?, CancelAck::Unchanged);
        ensure!(one.read(id).await? == ended, "an ended task changed");
    }
    Ok(())
}

async fn cancel_finds_no_unknown_task(space: Space) -> Outcome {
    let unknown = space.one.request_cancel(TaskId::random(), "".into());
    ensure_eq!(unknown.await?, None);
    let record = space.one.start(steady(), space.fleeting("t")).await?;
    let retention = space.term();
    space.one.complete(&record, "1").await?;
    let mut patience = space.patience("the retention was over");
    while let Some(ack) = space.other.request_cancel(record.id, "".into()).await? {
        ensure_eq!(ack, CancelAck::Unchanged);
        patience.pause().await?;
    }
    retention.ensure_over("the task was gone")?;
    space.one.reap(MANY).await?;
    ensure_eq!(
        space.other.request_cancel(record.id, "".into()).await?,
        None
    );
    Ok(())
}
