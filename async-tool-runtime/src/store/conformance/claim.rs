//! Giving tasks to sessions.

use std::time::Duration;

use super::check::Outcome;
use super::space::{LONG, MANY, Space, ids, limited, message, race, report, sorted, steady, task};
use crate::store::{
    ConcurrencyLimit, End, Outcome as TaskOutcome, Principal, Release, Status, Want,
};

cases![
    claim_takes_the_oldest_first,
    claim_takes_no_more_than_wanted,
    claim_gives_the_arguments,
    claim_counts_attempts_and_epochs,
    claim_leaves_what_is_not_ready,
    a_concurrency_key_is_held_while_owned,
    a_task_holds_all_its_concurrency_keys_or_none,
    racing_claims_take_a_task_once,
    claim_opens_or_renews_the_lease,
    claim_of_nothing_leaves_no_trace,
];

fn want(tool: &str, room: usize) -> Want {
    Want::new(tool.into(), room)
}

async fn claim_takes_the_oldest_first(Space { one, other, .. }: Space) -> Outcome {
    let mut queued = Vec::new();
    for tool in ["t", "u", "t", "v", "u", "t", "v", "t"] {
        queued.push(one.queue(tool).await?.id);
    }
    // The order of the wants means nothing.
    let wants = [want("v", MANY), want("t", MANY), want("u", MANY)];
    let lease = steady();
    for id in &queued[..3] {
        ensure_eq!(ids(&other.claim(lease, &wants, 1).await?), [*id]);
    }
    let claimed = other.claim(lease, &wants, 3).await?;
    ensure_eq!(sorted(ids(&claimed)), sorted(queued[3..6].to_vec()));
    let claimed = other.claim(lease, &wants, MANY).await?;
    ensure_eq!(sorted(ids(&claimed)), sorted(queued[6..].to_vec()));
    Ok(())
}

async fn claim_takes_no_more_than_wanted(Space { one, other, .. }: Space) -> Outcome {
    let mut queued = Vec::new();
    for tool in ["t", "t", "t", "u", "u", "v", "t", "u"] {
        queued.push(one.queue(tool).await?.id);
    }
    let lease = steady();
    let nothing = other.claim(lease, &[want("t", 0), want("w", 9)], 9).await?;
    ensure_eq!(ids(&nothing), []);
    ensure_eq!(ids(&other.claim(lease, &[], 9).await?), []);
    ensure_eq!(ids(&other.claim(lease, &[want("t", 9)], 0).await?), []);
    for (rooms, limit, expected) in [
        // What has no room does not count for the limit.
        ([1, 1], 2, &[0, 3][..]),
        ([2, 1], 9, &[1, 2, 4]),
        ([9, 9], 1, &[6]),
    ] {
        let wants = [want("t", rooms[0]), want("u", rooms[1])];
        let claimed = other.claim(lease, &wants, limit).await?;
        let expected = expected.iter().map(|place| queued[*place]).collect();
        ensure_eq!(sorted(ids(&claimed)), sorted(expected));
    }
    for id in [queued[5], queued[7]] {
        ensure_eq!(one.read(id).await?.status, Status::Queued);
    }
    Ok(())
}

async fn claim_gives_the_arguments(Space { one, other, .. }: Space) -> Outcome {
    // Text that comes through only if nothing touches it.
    let arguments = r#"{"b":1.10,"a":"O'Re\u0069lly ✓ \"%s\" {}","big":12345678901234567890}"#;
    let mut new = limited("t", "k", 2);
    new.arguments = arguments.into();
    new.principal = Some(Principal::new("ann"));
    new.max_attempts = 3;
    let created = one.accept(new.clone()).await?;
    let lease = steady();
    for attempt in 1..=2 {
        let record = other.take_one(lease, "t").await?;
        ensure_eq!(&*record.arguments, arguments);
        ensure_eq!((record.id, &*record.tool), (new.id, "t"));
        ensure_eq!((record.status, record.attempt), (Status::Working, attempt));
        ensure_eq!(record.owner, Some(lease.session));
        ensure_eq!(record.principal, new.principal);
        ensure_eq!(record.max_attempts, new.max_attempts);
        ensure_eq!(record.concurrency, new.concurrency);
        ensure_eq!(record.created_at, created.created_at);
        ensure_eq!(record.deadline, created.deadline);
        ensure_eq!(record.cancel, None);
        ensure!(record.started_at.is_some(), "it has not been started");
        ensure!(record.revision > created.revision, "no new revision");
        one.retry(&record, Duration::ZERO).await?;
    }
    Ok(())
}

async fn claim_counts_attempts_and_epochs(Space { one, other, .. }: Space) -> Outcome {
    let mut before = one.queue("t").await?;
    for (lease, replica) in [(steady(), &one), (steady(), &other), (steady(), &one)] {
        let record = replica.take_one(lease, "t").await?;
        ensure_eq!(record.attempt, before.attempt + 1);
        ensure_eq!(record.epoch, before.epoch.next());
        let read = other.read(record.id).await?;
        ensure_eq!((read.attempt, read.epoch), (record.attempt, record.epoch));
        ensure_eq!(read.owner, Some(lease.session));
        let reported = one.beat(lease, vec![report(&record, 1)]).await?;
        ensure_eq!(reported.owned.len(), 1);
        ensure_eq!(message(&other.read(record.id).await?), Some("report 1"));
        replica.retry(&record, Duration::ZERO).await?;
        before = one.read(record.id).await?;
        ensure_eq!(before.attempt, record.attempt);
    }
    Ok(())
}

async fn claim_leaves_what_is_not_ready(Space { one, other, .. }: Space) -> Outcome {
    let backed_off = one.start(steady(), task("t")).await?;
    one.retry(&backed_off, LONG).await?;
    let holder = one.start(steady(), limited("u", "k", 1)).await?;
    let blocked = one.accept(limited("t", "k", 1)).await?;
    let younger = [one.queue("t").await?.id, one.queue("t").await?.id];

    ensure_eq!(other.take_one(steady(), "t").await?.id, younger[0]);
    ensure_eq!(ids(&other.take(steady(), "t").await?), [younger[1]]);
    ensure_eq!(ids(&other.take(steady(), "t").await?), []);
    for id in [backed_off.id, blocked.id] {
        ensure_eq!(one.read(id).await?.status, Status::Queued);
    }
    one.complete(&holder, "1").await?;
    ensure_eq!(ids(&other.take(steady(), "t").await?), [blocked.id]);

    // Two of one key in one claim.
    let first = one.accept(limited("v", "l", 1)).await?;
    one.accept(limited("v", "l", 1)).await?;
    ensure_eq!(ids(&other.take(steady(), "v").await?), [first.id]);
    Ok(())
}

async fn a_concurrency_key_is_held_while_owned(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let first = one.start(steady(), limited("t", "k", 2)).await?;
    let second = other.start(steady(), limited("u", "k", 2)).await?;
    for tool in ["t", "u", "v"] {
        one.accept(limited(tool, "k", 2)).await?;
    }
    one.accept(limited("w", "another", 2)).await?;
    other.take_one(steady(), "w").await?;
    let wants = ["t", "u", "v"].map(|tool| want(tool, MANY));
    let lease = steady();
    ensure_eq!(ids(&other.claim(lease, &wants, MANY).await?), []);

    one.complete(&first, "1").await?;
    let third = other.claim(lease, &wants, MANY).await?;
    ensure_eq!(third.len(), 1);
    one.retry(&second, LONG).await?;
    let fourth = other.claim(lease, &wants, MANY).await?;
    ensure_eq!(fourth.len(), 1);
    ensure_eq!(ids(&other.claim(lease, &wants, MANY).await?), []);
    let failed = End::new(TaskOutcome::Cancelled("".into()), 0);
    let ended = one.finish(third[0].id, third[0].epoch, failed).await?;
    ensure_eq!(ended, Ok(()));
    let given_back = one.release(fourth[0].id, fourth[0].epoch, Release::NotStarted);
    ensure_eq!(given_back.await?, Ok(()));
    let rest = sorted(ids(&other.claim(space.brief(), &wants, MANY).await?));
    ensure_eq!(rest.len(), 2);

    // Both are taken from the dead session.
    one.accept(limited("x", "k", 1)).await?;
    let mut patience = space.patience("the key of a dead session was free");
    while other.try_take_one(lease, "x").await?.is_none() {
        one.reap(MANY).await?;
        patience.pause().await?;
    }
    Ok(())
}

async fn a_task_holds_all_its_concurrency_keys_or_none(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let of_k = one.start(steady(), limited("t", "k", 1)).await?;
    let mut both = limited("u", "k", 1);
    both.concurrency = ["k", "l"].map(|key| ConcurrencyLimit::new(key, 1)).into();
    let both = one.accept(both).await?;
    ensure_eq!(ids(&other.take(steady(), "u").await?), []);

    // It has not kept the key that was free.
    let of_l = other.start(steady(), limited("v", "l", 1)).await?;
    one.complete(&of_k, "1").await?;
    ensure_eq!(ids(&other.take(steady(), "u").await?), []);
    one.complete(&of_l, "1").await?;
    let both_held = other.take_one(steady(), "u").await?;
    ensure_eq!(both_held.id, both.id);
    ensure_eq!(both_held.concurrency, both.concurrency);

    for (tool, key) in [("w", "k"), ("x", "l")] {
        one.accept(limited(tool, key, 1)).await?;
        ensure_eq!(ids(&other.take(steady(), tool).await?), []);
    }
    other.complete(&both_held, "1").await?;
    one.take_one(steady(), "w").await?;
    one.take_one(steady(), "x").await?;
    Ok(())
}

async fn racing_claims_take_a_task_once(Space { one, other, .. }: Space) -> Outcome {
    const TASKS: usize = 24;
    let mut queued = Vec::new();
    for _ in 0..TASKS {
        queued.push(one.queue("t").await?.id);
    }
    let claims = (0..TASKS).map(|number| {
        let replica = if number % 2 == 0 { &one } else { &other }.clone();
        async move { Ok(replica.claim(steady(), &[want("t", 2)], 2).await?) }
    });
    let claimed = race(claims).await?;
    let claimed = claimed.iter().flat_map(|claimed| ids(claimed));
    ensure_eq!(sorted(claimed.collect()), sorted(queued));
    ensure_eq!(ids(&one.take(steady(), "t").await?), []);
    Ok(())
}

async fn claim_opens_or_renews_the_lease(space: Space) -> Outcome {
    let lease = space.brief();
    let first = space.one.start(lease, task("t")).await?;
    tokio::time::sleep(space.lease / 2).await;
    space.one.queue("u").await?;
    let renewed = space.term();
    space.one.take_one(lease, "u").await?;
    let mut patience = space.patience("the session was dead");
    while space.one.read(first.id).await?.status == Status::Working {
        space.other.reap(MANY).await?;
        patience.pause().await?;
    }
    renewed.ensure_over("the session was taken for dead")?;
    Ok(())
}

async fn claim_of_nothing_leaves_no_trace(space: Space) -> Outcome {
    let lease = space.brief();
    ensure_eq!(ids(&space.one.take(lease, "t").await?), []);
    let next = space.other.reap(MANY).await?.next;
    ensure!(
        next.is_none_or(|next| next > space.lease),
        "it is waited for the end of a lease: {next:?}"
    );
    let held = space.one.start(steady(), limited("t", "k", 1)).await?;
    space.one.accept(limited("t", "k", 1)).await?;
    ensure_eq!(ids(&space.one.take(lease, "t").await?), []);
    ensure_eq!(space.one.owned(lease).await?, []);
    space.one.complete(&held, "1").await?;
    Ok(())
}
