//! Cleaning up.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::check::Outcome;
use super::notices::{notified, told};
use super::space::{
    LONG, MANY, Space, cancelled, completed, failure, ids, keyed, limited, report, sorted, steady,
    task,
};
use crate::store::{
    Filter, LogLine, NewTask, Owner, Reaped, Refused, Release, Status, StepRecord, TaskId,
    Timestamp,
};

cases![
    reap_interrupts_the_tasks_of_dead_sessions,
    reap_requeues_what_may_run_again,
    reap_fences_the_dead,
    reap_cancels_what_was_asked_to_stop,
    reap_ends_queued_tasks_at_their_deadline,
    reap_purges_after_retention,
    reap_is_bounded,
    reap_tells_when_to_come_again,
    reap_tells_what_is_ready,
    reap_tells_of_notices,
];

async fn reap_interrupts_the_tasks_of_dead_sessions(space: Space) -> Outcome {
    let one = &space.one;
    let alive = one.start(steady(), task("t")).await?;
    let lease = space.brief();
    let term = space.term();
    let mut dead = vec![one.start(lease, task("t")).await?.id];
    dead.push(one.start(lease, task("u")).await?.id);
    let reaped = space
        .reap_until("a dead session's tasks were interrupted", MANY, |reaped| {
            !reaped.interrupted.is_empty()
        })
        .await?;
    term.ensure_over("a session was taken for dead")?;
    let rest = space
        .reap_until("all of a dead session's tasks were", MANY, |rest| {
            reaped.interrupted.len() + rest.interrupted.len() >= dead.len()
        })
        .await?;
    let interrupted = [reaped.interrupted, rest.interrupted].concat();
    ensure_eq!(sorted(interrupted), sorted(dead.clone()));
    ensure_eq!([reaped.requeued, rest.requeued].concat(), []);
    for id in dead {
        let ended = one.read(id).await?;
        ensure_eq!((ended.status, ended.owner), (Status::Failed, None));
        let failure = failure(&ended).map(|failure| (&*failure.code, failure.retryable));
        ensure_eq!(failure, Some(("interrupted", true)));
        ensure!(ended.finished_at.is_some(), "it ended at no time");
    }
    ensure_eq!(one.read(alive.id).await?.status, Status::Working);
    one.complete(&alive, "1").await?;
    Ok(())
}

async fn reap_requeues_what_may_run_again(space: Space) -> Outcome {
    let one = &space.one;
    let mut new = task("t");
    new.max_attempts = 2;
    let id = one.accept(new).await?.id;
    for attempt in 1..=2 {
        let term = space.term();
        let record = one.take_one(space.brief(), "t").await?;
        ensure_eq!((record.id, record.attempt), (id, attempt));
        let reaped = space
            .reap_until("the session was dead", MANY, |reaped| {
                !reaped.requeued.is_empty() || !reaped.interrupted.is_empty()
            })
            .await?;
        term.ensure_over("a session was taken for dead")?;
        let read = one.read(id).await?;
        let found = (read.status, reaped.requeued, reaped.interrupted);
        let expected = match attempt {
            1 => (Status::Queued, vec![id], vec![]),
            _ => (Status::Failed, vec![], vec![id]),
        };
        ensure_eq!(found, expected);
        ensure_eq!((read.attempt, read.owner), (attempt, None));
    }
    Ok(())
}

async fn reap_fences_the_dead(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let lease = space.brief();
    let mut new = task("t");
    new.max_attempts = 2;
    let requeued = one.start(lease, new).await?;
    let interrupted = one.start(lease, task("u")).await?;
    let lingering = one.start(lease, task("u")).await?;
    let end = completed(&lingering, "1").lingering();
    let finished = one.finish(lingering.id, lingering.epoch, end).await?;
    ensure_eq!(finished, Ok(()));

    let mut patience = space.patience("everything was taken from the dead session");
    for old in [&requeued, &interrupted, &lingering] {
        while other.read(old.id).await?.owner.is_some() {
            other.reap(MANY).await?;
            patience.pause().await?;
        }
        let read = other.read(old.id).await?;
        ensure!(read.epoch > old.epoch, "no new epoch: {read:?}");
    }
    let finished = one.finish(requeued.id, requeued.epoch, completed(&requeued, "1"));
    ensure_eq!(finished.await?, Err(Refused::Fenced));
    let record = other.take_one(steady(), "t").await?;
    ensure!(record.epoch > requeued.epoch, "an old epoch");
    ensure_eq!(one.owned(lease).await?, []);
    one.beat(lease, vec![report(&requeued, 9)]).await?;
    ensure_eq!(other.read(record.id).await?.progress, None);
    let finished = one.finish(requeued.id, requeued.epoch, completed(&requeued, "1"));
    ensure_eq!(finished.await?, Err(Refused::Fenced));
    let stopped = one.release(lingering.id, lingering.epoch, Release::Stopped);
    ensure_eq!(stopped.await?, Err(Refused::Fenced));
    other.complete(&record, "2").await?;
    Ok(())
}

async fn reap_cancels_what_was_asked_to_stop(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let lease = space.brief();
    let mut again = task("t");
    again.max_attempts = 2;
    for new in [again, task("t")] {
        let record = one.start(lease, new).await?;
        other.cancel(record.id, "enough").await?;
        let mut patience = space.patience("the session was dead");
        let ended = loop {
            let reaped = other.reap(MANY).await?;
            ensure_eq!(reaped.requeued, []);
            let read = other.read(record.id).await?;
            if read.status != Status::Working {
                break read;
            }
            patience.pause().await?;
        };
        ensure_eq!((ended.status, ended.owner), (Status::Cancelled, None));
        ensure_eq!(cancelled(&ended), Some("enough"));
    }
    Ok(())
}

/// A task that must soon have ended.
fn pressing(space: &Space, tool: &str) -> NewTask {
    let mut new = task(tool);
    new.max_wait = space.lease;
    new
}

async fn reap_ends_queued_tasks_at_their_deadline(space: Space) -> Outcome {
    let one = &space.one;
    let term = space.term();
    let queued = one.accept(pressing(&space, "t")).await?.id;
    let backed_off = one.start(steady(), pressing(&space, "u")).await?;
    one.retry(&backed_off, LONG).await?;
    let working = one.start(steady(), pressing(&space, "v")).await?;
    let patient = one.queue("t").await?.id;
    let late = sorted(vec![queued, backed_off.id]);

    let reaped = space
        .reap_until("a deadline had passed", MANY, |reaped| {
            !reaped.expired.is_empty()
        })
        .await?;
    term.ensure_over("a deadline had passed")?;
    let rest = space
        .reap_until("both deadlines had", MANY, |rest| {
            reaped.expired.len() + rest.expired.len() >= late.len()
        })
        .await?;
    ensure_eq!(sorted([reaped.expired, rest.expired].concat()), late);
    for id in late {
        let ended = one.read(id).await?;
        ensure_eq!(ended.status, Status::Failed);
        ensure_eq!(
            failure(&ended).map(|failure| &*failure.code),
            Some("timed_out")
        );
    }
    // Its worker watches the deadline.
    ensure_eq!(one.read(working.id).await?.status, Status::Working);
    one.complete(&working, "1").await?;
    ensure_eq!(ids(&one.take(steady(), "t").await?), [patient]);
    Ok(())
}

async fn reap_purges_after_retention(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let call = || {
        let mut new = keyed("t", "k", 1);
        new.retention = space.lease;
        new
    };
    let lease = steady();
    let record = one.start(lease, call()).await?;
    let (id, epoch) = (record.id, record.epoch);
    let recorded = one
        .record_step(id, epoch, StepRecord::new("s", "1"))
        .await?;
    ensure_eq!(recorded, Ok(()));
    let kept = one.queue("t").await?.id;
    let log = vec![LogLine::new(1, Timestamp(1), "line")];
    let end = completed(&record, "1").with_log(log.clone());
    let retention = space.term();
    ensure_eq!(one.finish(id, epoch, end).await?, Ok(()));
    let reaped = space
        .reap_until("it was purged", MANY, |reaped| !reaped.purged.is_empty())
        .await?;
    retention.ensure_over("it was purged")?;
    ensure_eq!(reaped.purged, [id]);
    ensure_eq!((reaped.expired, reaped.interrupted), (vec![], vec![]));

    ensure!(other.get(id).await?.is_none(), "the record is there");
    ensure_eq!(other.log(id, MANY).await?, []);
    ensure_eq!(other.steps(id).await?, []);
    let listed = other.list(&Filter::of(Owner::Anybody), None, MANY).await?;
    ensure_eq!(ids(&listed), [kept]);
    ensure_eq!(
        one.finish(id, epoch, completed(&record, "2")).await?,
        Err(Refused::Fenced)
    );
    let again = other.accept(call()).await?.id;
    ensure_eq!(
        sorted(ids(&one.take(lease, "t").await?)),
        sorted(vec![kept, again])
    );
    Ok(())
}

async fn reap_is_bounded(space: Space) -> Outcome {
    const TASKS: usize = 5;
    let one = &space.one;
    let lease = space.brief();
    let mut kinds: [Vec<TaskId>; 4] = Default::default();
    for _ in 0..TASKS {
        let mut again = task("t");
        again.max_attempts = 2;
        kinds[0].push(one.start(lease, again).await?.id);
        kinds[1].push(one.start(lease, task("u")).await?.id);
        let mut both = pressing(&space, "v");
        both.retention = space.lease;
        kinds[2].push(one.accept(both).await?.id);
        let record = one.start(steady(), space.fleeting("w")).await?;
        one.complete(&record, "1").await?;
        kinds[3].push(record.id);
    }
    // What has expired is purged later.
    let purged_at_last = 2 * TASKS;
    tokio::time::sleep(space.lease).await;

    let mut all = Reaped::default();
    let mut patience = space.patience("all of it was cleaned up");
    while all.requeued.len() + all.interrupted.len() < 2 * TASKS
        || all.expired.len() < TASKS
        || all.purged.len() < purged_at_last
    {
        let reaped = space.other.reap(2).await?;
        for (kind, all) in [
            (reaped.requeued, &mut all.requeued),
            (reaped.interrupted, &mut all.interrupted),
            (reaped.expired, &mut all.expired),
            (reaped.purged, &mut all.purged),
        ] {
            ensure!(kind.len() <= 2, "{} of a kind at once", kind.len());
            all.extend(kind);
        }
        patience.pause().await?;
    }
    ensure_eq!(sorted(all.requeued), sorted(kinds[0].clone()));
    ensure_eq!(sorted(all.interrupted), sorted(kinds[1].clone()));
    ensure_eq!(sorted(all.expired), sorted(kinds[2].clone()));
    let purged: HashSet<TaskId> = all.purged.into_iter().collect();
    let expected = kinds[2].iter().chain(&kinds[3]).copied().collect();
    ensure_eq!(purged, expected);
    Ok(())
}

async fn reap_tells_when_to_come_again(space: Space) -> Outcome {
    // Long enough that none of them is over before it is asked for.
    let long = space.lease * 20;
    for kind in ["a deadline", "a pause", "a retention", "a lease"] {
        let there = space.elsewhere(kind).await?;
        let mut new = task("t");
        match kind {
            "a deadline" => new.max_wait = long,
            "a retention" => new.retention = long,
            _ => {}
        }
        let mut lease = steady();
        if kind == "a lease" {
            lease.duration = long;
        }
        let record = there.accept(new).await?;
        if kind != "a deadline" {
            there.take_one(lease, "t").await?;
        }
        let record = there.read(record.id).await?;
        match kind {
            "a pause" => there.retry(&record, long).await?,
            "a retention" => there.complete(&record, "1").await?,
            _ => {}
        }
        // Whoever has to see a session for a while before it is dead has seen it.
        there.reap(MANY).await?;
        let began = Instant::now();
        tokio::time::sleep(space.lease / 2).await;
        let left = (long + space.lease / 10).saturating_sub(began.elapsed());
        let next = there.reap(MANY).await?.next;
        ensure!(
            next.is_some_and(|next| next <= left),
            "{kind} ends in {left:?}, and the store says to come again in {next:?}"
        );
    }
    Ok(())
}

async fn reap_tells_what_is_ready(Space { one, other, .. }: Space) -> Outcome {
    let ready = async || Ok::<bool, crate::store::StoreError>(other.reap(MANY).await?.ready);
    ensure!(!ready().await?, "nothing is there, and it is ready");
    let held = one.accept(limited("t", "k", 1)).await?;
    ensure!(ready().await?, "a queued task is not ready");
    let held = one.take_one(steady(), &held.tool).await?;
    ensure!(!ready().await?, "a task that is being worked on is ready");
    one.accept(limited("u", "k", 1)).await?;
    ensure!(!ready().await?, "a task is ready whose key is held");
    let second = one.start(steady(), task("t")).await?;
    one.retry(&second, LONG).await?;
    ensure!(!ready().await?, "a task in back-off is ready");
    one.complete(&held, "1").await?;
    ensure!(ready().await?, "a task whose key became free is not ready");
    let taken = one.take_one(steady(), "u").await?;
    ensure!(!ready().await?, "nothing is left, and it is ready");
    one.retry(&taken, Duration::ZERO).await?;
    ensure!(ready().await?, "a task whose pause is over is not ready");
    Ok(())
}

async fn reap_tells_of_notices(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let due = async || Ok::<bool, crate::store::StoreError>(other.reap(MANY).await?.notices);
    let record = one.start(steady(), notified("t")).await?;
    one.start(steady(), task("t")).await?;
    ensure!(!due().await?, "nothing has happened, and it is to be told");
    one.complete(&record, "1").await?;
    ensure!(due().await?, "an end is not to be told");

    // Longer than it takes to ask.
    let long = space.lease * 20;
    for kind in ["a pause", "a next try"] {
        if kind == "a pause" {
            let claimed = one.claim_notices(long, MANY).await?;
            ensure_eq!(ids(&claimed), [record.id]);
        } else {
            let refused = told(&one.read(record.id).await?, "refused")?.again(long);
            ensure!(one.settle_notice(refused).await?, "it is not the caller's");
        }
        let began = Instant::now();
        tokio::time::sleep(space.lease / 2).await;
        let left = (long + space.lease / 10).saturating_sub(began.elapsed());
        let reaped = other.reap(MANY).await?;
        ensure!(!reaped.notices, "it is to be told before the end of {kind}");
        ensure!(
            reaped.next.is_some_and(|next| next <= left),
            "{kind} ends in {left:?}, and the store says to come again in {:?}",
            reaped.next
        );
    }
    let claimed = one.read(record.id).await?;
    ensure!(
        one.settle_notice(told(&claimed, "delivered")?).await?,
        "it is not the caller's"
    );
    ensure!(!due().await?, "it is to be told again");
    Ok(())
}
