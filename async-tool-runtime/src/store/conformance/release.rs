//! Giving tasks up.

use std::time::Duration;

use super::check::Outcome;
use super::space::{MANY, Space, cancelled, completed, limited, message, report, steady, task};
use crate::store::{LogLine, Refused, Release, Retry, Status, StepRecord, TaskId, Timestamp};

cases![
    release_of_what_has_not_begun_counts_no_attempt,
    release_for_a_retry_waits,
    release_ends_what_was_asked_to_stop,
    release_of_a_lingering_task_frees_its_key,
    release_needs_the_epoch,
];

async fn release_of_what_has_not_begun_counts_no_attempt(space: Space) -> Outcome {
    let Space { one, other, .. } = &space;
    let lease = steady();
    let first = one.start(lease, task("t")).await?;
    let younger = one.queue("t").await?;
    one.give_back(&first).await?;
    let queued = other.read(first.id).await?;
    ensure_eq!((queued.status, queued.attempt), (Status::Queued, 0));
    ensure_eq!((queued.owner, queued.started_at), (None, None));
    ensure!(queued.revision > first.revision, "no new revision");
    ensure_eq!(one.owned(lease).await?, []);

    let again = other.take_one(steady(), "t").await?;
    ensure_eq!((again.id, again.attempt), (first.id, 1));
    ensure!(again.epoch > first.epoch, "no new epoch");
    ensure_eq!(other.take_one(steady(), "t").await?.id, younger.id);
    Ok(())
}

async fn release_for_a_retry_waits(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let lease = steady();
    let first = one.start(lease, task("t")).await?;
    one.beat(lease, vec![report(&first, 1)]).await?;
    let step = StepRecord::new("s", "1");
    let recorded = one.record_step(first.id, first.epoch, step.clone()).await?;
    ensure_eq!(recorded, Ok(()));

    let line = LogLine::new(1, Timestamp(1), "failed");
    let shown = first.revision + 3;
    let retry = Retry::new(space.lease, "once more", shown).with_log(vec![line.clone()]);
    let pause = space.term();
    let released = one.release(first.id, first.epoch, Release::Retry(retry));
    ensure_eq!(released.await?, Ok(()));
    let queued = other.read(first.id).await?;
    ensure_eq!((queued.status, queued.attempt), (Status::Queued, 1));
    ensure_eq!((queued.owner, message(&queued)), (None, Some("once more")));
    ensure!(queued.revision > shown, "no new revision");
    ensure!(
        queued.not_before.is_some(),
        "it does not say until when it waits"
    );
    ensure_eq!(one.owned(lease).await?, []);
    ensure_eq!(other.log(first.id, MANY).await?, [line]);

    let mut patience = space.patience("the pause was over");
    let second = loop {
        match other.try_take_one(lease, "t").await? {
            Some(record) => break record,
            None => patience.pause().await?,
        }
    };
    pause.ensure_over("the task was claimed")?;
    ensure_eq!((second.id, second.attempt), (first.id, 2));
    ensure_eq!(second.not_before, None);
    ensure_eq!(one.steps(first.id).await?, [step]);
    Ok(())
}

async fn release_ends_what_was_asked_to_stop(Space { one, other, .. }: Space) -> Outcome {
    let retry = Release::Retry(Retry::new(Duration::ZERO, "once more", 0));
    for release in [Release::NotStarted, retry] {
        let lease = steady();
        let record = one.start(lease, task("t")).await?;
        other.cancel(record.id, "enough").await?;
        let released = one.release(record.id, record.epoch, release).await?;
        ensure_eq!(released, Ok(()));
        let ended = other.read(record.id).await?;
        ensure_eq!(ended.status, Status::Cancelled);
        ensure_eq!(cancelled(&ended), Some("enough"));
        ensure!(ended.finished_at.is_some(), "it ended at no time");
        ensure_eq!(one.owned(lease).await?, []);
        ensure!(
            other.try_take_one(steady(), "t").await?.is_none(),
            "it was queued"
        );
    }
    Ok(())
}

async fn release_of_a_lingering_task_frees_its_key(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let record = one.start(lease, limited("t", "k", 1)).await?;
    let end = completed(&record, "1").lingering();
    ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
    let waiting = one.accept(limited("u", "k", 1)).await?;
    ensure!(
        other.try_take_one(steady(), "u").await?.is_none(),
        "the key was free before"
    );
    let ended = other.read(record.id).await?;
    let stopped = one.release(record.id, record.epoch, Release::Stopped);
    ensure_eq!(stopped.await?, Ok(()));
    ensure_eq!(one.owned(lease).await?, []);
    ensure_eq!(other.take_one(steady(), "u").await?.id, waiting.id);
    let read = other.read(record.id).await?;
    ensure_eq!((read.status, read.owner), (ended.status, None));
    ensure!(read.outcome == ended.outcome, "the outcome changed");
    Ok(())
}

async fn release_needs_the_epoch(Space { one, other, .. }: Space) -> Outcome {
    let retry = || Release::Retry(Retry::new(Duration::ZERO, "once more", 0));
    let old = one.start(steady(), task("t")).await?;
    one.give_back(&old).await?;
    let record = one.take_one(steady(), "t").await?;
    let before = other.read(record.id).await?;
    for epoch in [old.epoch, record.epoch.next()] {
        for release in [Release::NotStarted, retry(), Release::Stopped] {
            let released = other.release(record.id, epoch, release).await?;
            ensure_eq!(released, Err(Refused::Fenced));
        }
    }
    // Only what lingers can stop.
    let stopped = one.release(record.id, record.epoch, Release::Stopped);
    ensure_eq!(stopped.await?, Err(Refused::Fenced));
    ensure!(other.read(record.id).await? == before, "the task changed");

    let end = completed(&record, "1").lingering();
    ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
    let stopped = other.release(record.id, old.epoch, Release::Stopped);
    ensure_eq!(stopped.await?, Err(Refused::Fenced));
    for release in [Release::NotStarted, retry()] {
        let released = other.release(record.id, record.epoch, release).await?;
        ensure_eq!(released, Err(Refused::Terminal));
    }
    let queued = one.queue("u").await?;
    for id in [queued.id, TaskId::random()] {
        let released = other.release(id, queued.epoch, Release::NotStarted);
        ensure_eq!(released.await?, Err(Refused::Fenced));
    }
    Ok(())
}
