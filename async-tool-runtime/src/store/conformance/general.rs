//! What holds for all verbs.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::check::{Failure, Outcome, Part, Problem};
use super::notices::{notified, told};
use super::questions::question;
use super::space::{
    LONG, MANY, Replica, Space, completed, existing, ids, keyed, limited, race, report, result,
    shared, steady, task,
};
use crate::store::{
    Admission, Answered, CancelAck, Change, Created, Filter, Outcome as TaskOutcome, Owner, Purged,
    Refused, Release, Status, StepRecord, TaskId, TaskRecord, Want,
};

cases![
    every_verb_is_one_atomic_step,
    namespaces_are_apart,
    a_call_that_is_dropped_is_done_or_not_done,
    a_namespace_is_shared,
    namespaces_are_listed,
];

async fn every_verb_is_one_atomic_step(space: Space) -> Outcome {
    for number in 0..8 {
        claim_or_cancel(&space, number).await?;
        one_end_of_many(&space).await?;
        seen_all_the_time(&space).await?;
    }
    for _ in 0..4 {
        renewed_or_taken_over(&space).await?;
    }
    Ok(())
}

/// Sessions come back while what they own is taken over: both at once, and with
/// others, so that a store that does several calls in one step has some.
async fn renewed_or_taken_over(space: &Space) -> Outcome {
    const SESSIONS: usize = 12;
    let mut leases = Vec::new();
    for _ in 0..SESSIONS {
        let lease = space.brief();
        space.one.start(lease, task("w")).await?;
        leases.push(lease);
    }
    // Whoever tells by what it saw must have seen them.
    space.one.reap(MANY).await?;
    space.other.reap(MANY).await?;
    tokio::time::sleep(space.lease + space.lease / 4).await;

    let term = space.term();
    let replica = space.one.clone();
    let busy = tokio::spawn(async move { replica.queue("x").await });
    let calls = leases.into_iter().enumerate().map(|(number, lease)| {
        let (mine, either) = (space.one.clone(), either(space, number / 2));
        async move {
            let beat = async { Part::Ok(mine.beat(lease, Vec::new()).await?) };
            let reap = async { Part::Ok(either.reap(1).await?) };
            if number.is_multiple_of(2) {
                tokio::try_join!(beat, reap)
            } else {
                let (reaped, beat) = tokio::try_join!(reap, beat)?;
                Ok((beat, reaped))
            }
        }
    });
    let answers = race(calls).await?;
    busy.await
        .map_err(|error| Problem::new(super::panic_message(error)))??;
    if term.is_over() {
        // What was renewed may have run out again.
        return Err(Failure::TooSlow);
    }
    let taken: HashSet<TaskId> = answers
        .iter()
        .flat_map(|(_, reaped)| [&reaped.requeued, &reaped.interrupted])
        .flatten()
        .copied()
        .collect();
    for owned in answers.iter().flat_map(|(beat, _)| &beat.owned) {
        ensure!(
            !taken.contains(&owned.id),
            "a task was confirmed to its session, and taken from it"
        );
        let read = space.other.read(owned.id).await?;
        ensure_eq!(read.epoch, owned.epoch);
    }
    Ok(())
}

async fn claim_or_cancel(space: &Space, number: usize) -> Outcome {
    let id = space.one.queue("t").await?.id;
    let claim = space.other.take(steady(), "t");
    let cancel = space.one.cancel(id, "stop");
    let (claimed, ack) = if number.is_multiple_of(2) {
        tokio::try_join!(claim, cancel)?
    } else {
        let (ack, claimed) = tokio::try_join!(cancel, claim)?;
        (claimed, ack)
    };
    match ack {
        CancelAck::Ended => ensure_eq!(ids(&claimed), []),
        CancelAck::Requested => ensure_eq!(ids(&claimed), [id]),
        CancelAck::Unchanged => return Err(Problem::new("the first cancel changed nothing").into()),
    }
    whole(&space.one.read(id).await?)?;
    Ok(())
}

async fn seen_all_the_time(space: &Space) -> Outcome {
    let id = space.one.queue("v").await?.id;
    let reader = space.other.clone();
    let seen = tokio::spawn(async move {
        loop {
            let record = reader.read(id).await?;
            whole(&record)?;
            if record.status.is_terminal() {
                return Part::Ok(record.revision);
            }
            tokio::task::yield_now().await;
        }
    });
    let lease = steady();
    for _ in 0..2 {
        let record = space.one.take_one(lease, "v").await?;
        space.one.retry(&record, Duration::ZERO).await?;
    }
    let record = space.one.take_one(lease, "v").await?;
    for key in ["a", "b"] {
        space.one.wait_for(&record, &[key]).await?;
        let answered = space.one.reply(id, key, "1").await?;
        ensure_eq!(answered, Answered::Recorded);
    }
    space.one.complete(&record, "1").await?;
    let seen = seen
        .await
        .map_err(|error| Problem::new(super::panic_message(error)))??;
    ensure_eq!(seen, space.one.read(id).await?.revision);
    Ok(())
}

async fn one_end_of_many(space: &Space) -> Outcome {
    let record = space.one.start(steady(), task("u")).await?;
    let finishes = (0..8).map(|number| {
        let (replica, record) = (either(space, number), record.clone());
        async move {
            let end = completed(&record, &number.to_string());
            let finished = replica.finish(record.id, record.epoch, end).await?;
            whole(&replica.read(record.id).await?)?;
            Ok((finished, number.to_string()))
        }
    });
    let finishes = race(finishes).await?;
    let won: Vec<_> = finishes.iter().filter(|(end, _)| end.is_ok()).collect();
    ensure_eq!(won.len(), 1);
    let lost = finishes.iter().filter(|(end, _)| end.is_err());
    for (end, _) in lost {
        ensure_eq!(*end, Err(Refused::Terminal));
    }
    let ended = space.other.read(record.id).await?;
    ensure_eq!(result(&ended), Some(won[0].1.as_str()));
    Ok(())
}

fn either(space: &Space, number: usize) -> Replica {
    let replica = if number.is_multiple_of(2) {
        &space.one
    } else {
        &space.other
    };
    replica.clone()
}

/// A record of which no part is missing.
fn whole(record: &TaskRecord) -> Part {
    let status = record.status;
    let ended = record.outcome.as_ref().map(TaskOutcome::status);
    ensure_eq!(ended, status.is_terminal().then_some(status));
    ensure_eq!(record.finished_at.is_some(), status.is_terminal());
    let asks = status == Status::InputRequired;
    ensure_eq!(record.open_questions().next().is_some(), asks);
    let works = asks || status == Status::Working;
    ensure_eq!(record.owner.is_some(), works);
    if works {
        ensure!(record.started_at.is_some(), "it works and never started");
        ensure!(record.attempt > 0, "it works in attempt 0");
    }
    Ok(())
}

async fn namespaces_are_apart(space: Space) -> Outcome {
    let here = &space.one;
    // Names whose parts might run into each other.
    for (number, suffix) in [":t", "t", "/t", "%", "_"].into_iter().enumerate() {
        let there = space.elsewhere(suffix).await?;
        let mut changes = space.changes(&there);
        let lease = steady();

        let mine = here.start(lease, limited("t", "k", 1)).await?;
        let key = format!("key {number}");
        here.accept(keyed("t", &key, 1)).await?;
        let mut equal = shared("t", 1);
        equal.tool = format!("t{number}").into();
        here.accept(equal.clone()).await?;

        ensure!(there.get(mine.id).await?.is_none(), "a task is seen");
        ensure_eq!(there.cancel_unknown(mine.id).await?, None);
        ensure_eq!(there.steps(mine.id).await?, []);
        let all = Filter::of(Owner::Anybody);
        ensure_eq!(ids(&there.list(&all, None, 10).await?), []);
        ensure_eq!(ids(&there.take(steady(), "t").await?), []);
        ensure_eq!(there.owned(lease).await?, []);
        ensure_eq!(there.purge(mine.id).await?, None);
        let seen = there.stats().await?;
        ensure_eq!((seen.records, seen.queued(), seen.running), (0, 0, 0));
        ensure!(!there.reap(10).await?.ready, "a queued task is seen");
        let finished = there.finish(mine.id, mine.epoch, completed(&mine, "1"));
        ensure_eq!(finished.await?, Err(Refused::Fenced));

        let narrow = Admission::new(1, 1);
        let same_key = there.create(keyed("t", &key, 2), narrow).await?;
        ensure!(
            matches!(same_key, Created::New(_)),
            "a key or a limit is seen: {same_key:?}"
        );
        equal.id = TaskId::random();
        let equal = there.offer(equal).await?;
        ensure!(matches!(equal, Created::New(_)), "a task is joined");
        there.take_one(steady(), "t").await?;
        let theirs = there.start(steady(), limited("t", "k", 1)).await?;

        here.complete(&mine, "1").await?;
        here.take(steady(), "t").await?;
        there.cancel(theirs.id, "").await?;
        loop {
            match changes.next().await? {
                Change::Resync => break,
                Change::Cancel(id) if id == theirs.id => break,
                Change::Task(id) | Change::Cancel(id) => {
                    ensure!(id != mine.id, "a change is seen");
                }
                Change::Queued => {}
            }
        }
    }
    Ok(())
}

impl Replica {
    async fn cancel_unknown(&self, id: TaskId) -> Part<Option<CancelAck>> {
        Ok(self.request_cancel(id, "".into()).await?)
    }
}

async fn a_call_that_is_dropped_is_done_or_not_done(space: Space) -> Outcome {
    let one = &space.one;
    // More of them than a pool has connections.
    for number in 0..24 {
        dropped_while_claimed(&space, number % 6 + 1, number).await?;
    }
    for polls in 1..=6 {
        dropped_while_executed(&space, polls).await?;
    }
    let record = one.start(steady(), task("last")).await?;
    one.complete(&record, "1").await?;
    Ok(())
}

async fn dropped_while_claimed(space: &Space, polls: usize, number: usize) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let tool = format!("t{number}");
    dropped(polls, one.offer(keyed(&tool, "k", 1))).await;
    let id = match other.offer(keyed(&tool, "k", 1)).await? {
        Created::New(record) | Created::Existing(record) => record.id,
        refused => return Err(Problem::new(format!("the call again came to {refused:?}")).into()),
    };
    let mut mine = Filter::of(Owner::Anybody);
    mine.tool = Some(tool.as_str().into());
    ensure_eq!(ids(&other.list(&mine, None, 10).await?), [id]);

    let lease = steady();
    dropped(
        polls,
        one.claim(lease, &[Want::new(tool.as_str().into(), 1)], 1),
    )
    .await;
    match other.try_take_one(steady(), &tool).await? {
        Some(record) => ensure_eq!(record.id, id),
        None => ensure_eq!(other.owned(lease).await?, [id]),
    }
    Ok(())
}

async fn dropped_while_executed(space: &Space, polls: usize) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let lease = steady();
    let record = one.start(lease, notified("u")).await?;
    let (id, epoch) = (record.id, record.epoch);

    dropped(polls, one.beat(lease, vec![report(&record, 1)])).await;
    dropped(polls, one.record_step(id, epoch, StepRecord::new("s", "1"))).await;
    dropped(polls, one.put_result(id, epoch, "1".into())).await;
    dropped(polls, one.get(id)).await;
    dropped(polls, one.steps(id)).await;
    dropped(polls, one.log(id, 1)).await;
    dropped(polls, one.reap(1)).await;
    dropped(polls, one.stats()).await;
    let recorded = one
        .record_step(id, epoch, StepRecord::new("s", "2"))
        .await?;
    ensure_eq!(recorded, Ok(()));
    ensure_eq!(other.steps(id).await?.len(), 1);
    dropped(
        polls,
        one.ask(id, epoch, vec![question("q")], record.revision),
    )
    .await;
    whole(&other.read(id).await?)?;
    one.wait_for(&record, &["q"]).await?;
    dropped(polls, one.answer(id, "q", "1".into())).await;
    whole(&other.read(id).await?)?;
    let expected = match other.reply(id, "q", "2").await? {
        Answered::Recorded => "2",
        _ => "1",
    };
    let steps = other.steps(id).await?;
    ensure_eq!(steps.len(), 2);
    ensure!(
        steps[1] == StepRecord::answer("q", expected),
        "another answer"
    );

    dropped(polls, one.request_cancel(id, "first".into())).await;
    other.cancel(id, "second").await?;
    dropped(polls, one.finish(id, epoch, completed(&record, "1"))).await;
    let finished = other.finish(id, epoch, completed(&record, "2")).await?;
    let ended = other.read(id).await?;
    whole(&ended)?;
    let expected = match finished {
        Ok(()) => "2",
        Err(_) => "1",
    };
    ensure_eq!(result(&ended), Some(expected));

    dropped(polls, one.claim_notices(LONG, 1)).await;
    // The claim may be carried out between.
    while !other
        .settle_notice(told(&other.read(id).await?, "delivered")?)
        .await?
    {}
    dropped(polls, one.purge(id)).await;
    let purged = other.purge(id).await?;
    ensure!(
        matches!(purged, None | Some(Purged::Gone)),
        "a task that was told of is {purged:?}"
    );

    let record = one.start(lease, task("v")).await?;
    dropped(
        polls,
        one.release(record.id, record.epoch, Release::NotStarted),
    )
    .await;
    let released = other.release(record.id, record.epoch, Release::NotStarted);
    ensure!(
        matches!(released.await?, Ok(()) | Err(Refused::Fenced)),
        "a task that was given back has ended"
    );
    ensure_eq!(other.take_one(steady(), "v").await?.attempt, 1);
    Ok(())
}

/// Polls a call at most so many times, and drops it.
async fn dropped<T>(polls: usize, call: impl Future<Output = T>) {
    let mut call = pin!(call);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        let polled = call.as_mut().poll(context).map(drop);
        if left == 0 { Poll::Ready(()) } else { polled }
    })
    .await;
}

async fn a_namespace_is_shared(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let created = one.accept(keyed("t", "k", 1)).await?;
    ensure_eq!(
        existing(other.offer(keyed("t", "k", 1)).await?)?.id,
        created.id
    );
    let again = space.elsewhere("").await?;
    ensure_eq!(again.read(created.id).await?.id, created.id);
    let claimed = other.take_one(steady(), "t").await?;
    ensure_eq!(claimed.id, created.id);
    again.retry(&claimed, LONG).await?;
    ensure_eq!(one.read(created.id).await?.status, Status::Queued);
    let all: HashSet<TaskId> = [created.id].into();
    for replica in [one, other, &again] {
        let listed = replica.list(&Filter::of(Owner::Nobody), None, 10).await?;
        ensure_eq!(ids(&listed).into_iter().collect::<HashSet<_>>(), all);
    }
    Ok(())
}

async fn namespaces_are_listed(space: Space) -> Outcome {
    let stores = [&space.open, &space.reopen];
    for suffix in ["", " {it's} ✓*?[%25]:/"] {
        let replica = space.elsewhere(suffix).await?;
        let name = format!("{}{suffix}", space.name);
        for store in stores {
            let listed = store.namespaces().await?;
            ensure!(!listed.contains(&name), "{name} has no task, and is listed");
        }
        let record = replica.start(steady(), task("t")).await?;
        for store in stores {
            let listed = store.namespaces().await?;
            ensure!(listed.contains(&name), "{name} is not in {listed:?}");
            ensure!(listed.is_sorted(), "not sorted: {listed:?}");
        }
        replica.complete(&record, "1").await?;
        let listed = space.reopen.namespaces().await?;
        let times = listed.iter().filter(|listed| **listed == name).count();
        ensure!(times == 1, "{name} is listed {times} times");
    }
    Ok(())
}
