//! Ending tasks, and putting results ahead.

use std::time::Duration;

use serde_json::json;

use super::check::{Outcome, Part};
use super::space::{
    LONG, MANY, Replica, Space, cancelled, completed, existing, failure, ids, keyed, limited,
    result, steady, task,
};
use crate::store::{
    End, Epoch, Filter, LogLine, Outcome as TaskOutcome, Owner, Refused, Release, Status,
    StepRecord, TaskFailure, TaskId, TaskRecord, Timestamp,
};

cases![
    finish_ends_the_task,
    finish_needs_the_epoch,
    the_first_end_wins,
    finish_keeps_the_last_log_lines,
    finish_uses_the_result_put_ahead,
    an_ended_task_keeps_no_arguments_and_steps,
    a_lingering_task_keeps_its_concurrency_key,
    put_result_needs_the_epoch,
    a_result_put_ahead_is_not_seen_before_the_end,
    a_new_attempt_forgets_a_result_put_ahead,
];

async fn ended(one: &Replica, other: &Replica, outcome: TaskOutcome) -> Part<TaskRecord> {
    let lease = steady();
    let record = one.start(lease, task("t")).await?;
    let shown = record.revision + 3;
    let finished = one.finish(record.id, record.epoch, End::new(outcome, shown));
    ensure_eq!(finished.await?, Ok(()));
    let ended = other.read(record.id).await?;
    ensure!(
        ended.finished_at >= ended.started_at,
        "it ended before it began"
    );
    ensure!(ended.revision > shown, "no new revision");
    ensure_eq!(ended.owner, None);
    ensure_eq!(one.owned(lease).await?, []);
    Ok(ended)
}

async fn finish_ends_the_task(Space { one, other, .. }: Space) -> Outcome {
    let text = r#"{"b":1.10,"a":"O'Reilly ✓"}"#;
    let record = ended(&one, &other, TaskOutcome::Completed(text.into())).await?;
    ensure_eq!(record.status, Status::Completed);
    ensure_eq!(result(&record), Some(text));

    let mut error = TaskFailure::new("disk_full", "no space is left on 'a' ✓");
    error.retryable = true;
    error.details = Some(json!({ "free": [0, 1.5], "big": u64::MAX }));
    let record = ended(&one, &other, TaskOutcome::Failed(error.clone().into())).await?;
    ensure_eq!(record.status, Status::Failed);
    let kept = failure(&record).map(|kept| (&kept.code, &kept.message, kept.retryable));
    ensure_eq!(kept, Some((&error.code, &error.message, true)));
    ensure_eq!(
        failure(&record).and_then(|kept| kept.details.clone()),
        error.details
    );

    let record = ended(&one, &other, TaskOutcome::Cancelled("enough".into())).await?;
    ensure_eq!(record.status, Status::Cancelled);
    ensure_eq!(cancelled(&record), Some("enough"));
    let record = ended(&one, &other, TaskOutcome::Cancelled("".into())).await?;
    ensure_eq!(cancelled(&record), Some(""));
    Ok(())
}

async fn finish_needs_the_epoch(Space { one, other, .. }: Space) -> Outcome {
    let finish = async |record: &TaskRecord, epoch| {
        one.finish(record.id, epoch, completed(record, "1")).await
    };
    let lease = steady();
    let old = one.start(lease, task("t")).await?;
    one.retry(&old, Duration::ZERO).await?;
    ensure_eq!(finish(&old, old.epoch).await?, Err(Refused::Fenced));
    let record = other.take_one(steady(), "t").await?;
    for epoch in [old.epoch, record.epoch.next(), Epoch::default()] {
        ensure_eq!(finish(&record, epoch).await?, Err(Refused::Fenced));
    }
    let read = other.read(record.id).await?;
    ensure_eq!((read.status, read.epoch), (Status::Working, record.epoch));
    ensure_eq!(read.revision, record.revision);
    ensure_eq!(read.outcome, None);

    let queued = one.queue("u").await?;
    ensure_eq!(finish(&queued, queued.epoch).await?, Err(Refused::Fenced));
    ensure_eq!(other.read(queued.id).await?.status, Status::Queued);
    let unknown = one.finish(TaskId::random(), record.epoch, completed(&record, "1"));
    ensure_eq!(unknown.await?, Err(Refused::Fenced));
    ensure_eq!(finish(&record, record.epoch).await?, Ok(()));
    Ok(())
}

async fn the_first_end_wins(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), task("t")).await?;
    one.complete(&record, "1").await?;
    let ended = one.read(record.id).await?;
    for (epoch, end) in [
        (record.epoch, completed(&ended, "2")),
        (
            record.epoch,
            End::new(TaskOutcome::Cancelled("".into()), 99),
        ),
        (record.epoch, completed(&ended, "2").lingering()),
        (record.epoch.next(), completed(&ended, "2")),
    ] {
        let finished = other.finish(record.id, epoch, end).await?;
        ensure_eq!(finished, Err(Refused::Terminal));
        ensure!(one.read(record.id).await? == ended, "an ended task changed");
    }
    let released = other.release(record.id, record.epoch, Release::NotStarted);
    ensure_eq!(released.await?, Err(Refused::Terminal));

    let cancelled = one.queue("u").await?;
    other.cancel(cancelled.id, "").await?;
    let finished = one.finish(cancelled.id, cancelled.epoch, completed(&cancelled, "1"));
    ensure_eq!(finished.await?, Err(Refused::Terminal));
    ensure_eq!(one.read(cancelled.id).await?.status, Status::Cancelled);
    Ok(())
}

async fn finish_keeps_the_last_log_lines(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), task("t")).await?;
    let log = vec![
        LogLine::new(1, Timestamp(1), "first"),
        LogLine::new(2, Timestamp(2), "last"),
    ];
    let end = completed(&record, "1").with_log(log.clone());
    ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
    ensure_eq!(other.log(record.id, MANY).await?, log);
    Ok(())
}

async fn finish_uses_the_result_put_ahead(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), task("t")).await?;
    let large = format!("\"{}\"", "large ✓ ".repeat(50_000));
    for result in ["\"put over\"", &large] {
        let put = one.put_result(record.id, record.epoch, result.into());
        ensure_eq!(put.await?, Ok(()));
    }
    let end = End::ahead(record.revision);
    ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
    let ended = other.read(record.id).await?;
    ensure_eq!(ended.status, Status::Completed);
    ensure!(result(&ended) == Some(&large), "another result");

    // One that is put ahead and not asked for is not used.
    let record = one.start(steady(), task("t")).await?;
    let put = one.put_result(record.id, record.epoch, "1".into());
    ensure_eq!(put.await?, Ok(()));
    one.complete(&record, "2").await?;
    ensure_eq!(result(&other.read(record.id).await?), Some("2"));
    Ok(())
}

async fn an_ended_task_keeps_no_arguments_and_steps(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let started = async |key: &str, lease| -> Part<TaskRecord> {
        let record = one.start(lease, keyed("t", key, 1)).await?;
        let step = StepRecord::new("s", "1");
        let recorded = one.record_step(record.id, record.epoch, step).await?;
        ensure_eq!(recorded, Ok(()));
        one.wait_for(&record, &["q"]).await?;
        ensure!(other.read(record.id).await?.input.is_some(), "no question");
        Ok(record)
    };
    one.complete(&started("finished", steady()).await?, "1")
        .await?;

    one.retry(&started("cancelled", steady()).await?, LONG)
        .await?;
    let waiting = existing(one.offer(keyed("t", "cancelled", 1)).await?)?;
    other.cancel(waiting.id, "").await?;

    let dead = started("dead", space.brief()).await?;
    space
        .reap_until("the session was dead", MANY, |reaped| {
            reaped.interrupted.contains(&dead.id)
        })
        .await?;
    for key in ["finished", "cancelled", "dead"] {
        let ended = existing(other.offer(keyed("t", key, 1)).await?)?;
        ensure!(ended.status.is_terminal(), "the task `{key}` has not ended");
        ensure!(
            ended.arguments.is_empty(),
            "arguments of a task that was {key}"
        );
        ensure_eq!(other.steps(ended.id).await?, []);
        ensure_eq!(ended.input, None);
        ensure_eq!(other.read(ended.id).await?.input, None);
    }
    Ok(())
}

async fn a_lingering_task_keeps_its_concurrency_key(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    for lease in [steady(), space.brief()] {
        let term = space.term();
        let record = one.start(lease, limited("t", "k", 1)).await?;
        let end = completed(&record, "1").lingering();
        ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
        let read = other.read(record.id).await?;
        ensure_eq!(
            (read.status, read.owner),
            (Status::Completed, Some(lease.session))
        );
        let next = one.accept(limited("t", "k", 1)).await?;
        if lease.duration != space.lease {
            ensure_eq!(ids(&other.take(steady(), "t").await?), []);
            let stopped = one.release(record.id, record.epoch, Release::Stopped);
            ensure_eq!(stopped.await?, Ok(()));
        }
        let mut patience = space.patience("a dead session's key was free");
        let claimed = loop {
            match other.try_take_one(steady(), "t").await? {
                Some(claimed) => break claimed,
                None => patience.pause().await?,
            }
            one.reap(MANY).await?;
        };
        ensure_eq!(claimed.id, next.id);
        if lease.duration == space.lease {
            term.ensure_over("a session was taken for dead")?;
        }
        let read = other.read(record.id).await?;
        ensure_eq!((read.status, read.owner), (Status::Completed, None));
        other.complete(&claimed, "1").await?;
    }
    Ok(())
}

async fn put_result_needs_the_epoch(Space { one, other, .. }: Space) -> Outcome {
    let put =
        async |record: &TaskRecord, epoch| other.put_result(record.id, epoch, "0".into()).await;
    let old = one.start(steady(), task("t")).await?;
    one.give_back(&old).await?;
    ensure_eq!(put(&old, old.epoch).await?, Err(Refused::Fenced));
    let record = one.take_one(steady(), "t").await?;
    let ahead = one.put_result(record.id, record.epoch, "1".into());
    ensure_eq!(ahead.await?, Ok(()));
    for epoch in [old.epoch, record.epoch.next()] {
        ensure_eq!(put(&record, epoch).await?, Err(Refused::Fenced));
    }
    let end = End::ahead(record.revision);
    ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
    ensure_eq!(put(&record, record.epoch).await?, Err(Refused::Terminal));
    ensure_eq!(result(&other.read(record.id).await?), Some("1"));
    let unknown = other.put_result(TaskId::random(), record.epoch, "1".into());
    ensure_eq!(unknown.await?, Err(Refused::Fenced));
    Ok(())
}

async fn a_result_put_ahead_is_not_seen_before_the_end(space: Space) -> Outcome {
    let Space { one, other, .. } = &space;
    let record = one.start(steady(), task("t")).await?;
    let before = other.read(record.id).await?;
    let put = one.put_result(record.id, record.epoch, "1".into());
    ensure_eq!(put.await?, Ok(()));
    ensure!(other.read(record.id).await? == before, "the task changed");
    let listed = other.list(&Filter::of(Owner::Anybody), None, 1).await?;
    ensure_eq!(listed[0].outcome, None);
    let end = End::new(TaskOutcome::Cancelled("".into()), record.revision);
    ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
    ensure_eq!(result(&other.read(record.id).await?), None);
    Ok(())
}

async fn a_new_attempt_forgets_a_result_put_ahead(Space { one, other, .. }: Space) -> Outcome {
    let never = one.start(steady(), task("u")).await?;
    let end = End::ahead(never.revision);
    let finished = one.finish(never.id, never.epoch, end).await;
    ensure!(
        finished.is_err(),
        "a result that nobody put came from nowhere"
    );

    let first = one.start(steady(), task("t")).await?;
    let put = one.put_result(first.id, first.epoch, "1".into());
    ensure_eq!(put.await?, Ok(()));
    one.retry(&first, Duration::ZERO).await?;
    let second = other.take_one(steady(), "t").await?;
    let end = End::ahead(second.revision);
    let finished = other.finish(second.id, second.epoch, end).await;
    ensure!(finished.is_err(), "an earlier attempt's result was used");
    ensure_eq!(one.read(second.id).await?.status, Status::Working);
    other.complete(&second, "2").await?;
    ensure_eq!(result(&one.read(second.id).await?), Some("2"));
    Ok(())
}
