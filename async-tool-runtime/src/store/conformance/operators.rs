//! What operators do: delete tasks, and count what is there.

use super::check::Outcome;
use super::notices::{notified, told};
use super::questions::question;
use super::space::{LONG, MANY, Space, completed, fingerprint, ids, keyed, report, steady, task};
use crate::store::{
    Filter, LogLine, Owner, Purged, QueueStats, Release, StepRecord, TaskId, Timestamp,
};

cases![
    purge_deletes_an_ended_task,
    purge_leaves_what_has_not_ended,
    purge_leaves_what_is_in_use,
    purge_finds_no_unknown_task,
    stats_count_what_is_there,
];

async fn purge_deletes_an_ended_task(Space { one, other, .. }: Space) -> Outcome {
    let call = || {
        let mut new = keyed("t", "k", 1);
        new.dedupe = Some(fingerprint("t", 1));
        new
    };
    let record = one.start(steady(), call()).await?;
    let (id, epoch) = (record.id, record.epoch);
    let recorded = one.record_step(id, epoch, StepRecord::new("s", "1"));
    ensure_eq!(recorded.await?, Ok(()));
    let log = vec![LogLine::new(1, Timestamp(1), "line")];
    let end = completed(&record, "1").with_log(log);
    ensure_eq!(one.finish(id, epoch, end).await?, Ok(()));
    let kept = one.ended("t").await?;

    ensure_eq!(other.purge(id).await?, Some(Purged::Gone));
    ensure!(one.get(id).await?.is_none(), "the record is there");
    ensure_eq!(one.log(id, MANY).await?, []);
    ensure_eq!(one.steps(id).await?, []);
    let listed = one.list(&Filter::of(Owner::Anybody), None, MANY).await?;
    ensure_eq!(ids(&listed), [kept]);
    ensure_eq!(other.purge(id).await?, None);
    ensure_eq!(one.reap(MANY).await?.purged, []);
    let again = one.accept(call()).await?.id;
    ensure!(again != id, "the old task");
    Ok(())
}

async fn purge_leaves_what_has_not_ended(Space { one, other, .. }: Space) -> Outcome {
    let working = one.start(steady(), task("t")).await?;
    let asked_to_stop = one.start(steady(), task("t")).await?;
    other.cancel(asked_to_stop.id, "").await?;
    let waiting = one.start(steady(), task("t")).await?;
    let asked = one.ask(waiting.id, waiting.epoch, vec![question("q")], 0);
    ensure_eq!(asked.await?, Ok(()));
    let backed_off = one.start(steady(), notified("t")).await?;
    one.retry(&backed_off, LONG).await?;
    let queued = one.queue("t").await?;
    for id in [&working, &asked_to_stop, &waiting, &backed_off, &queued].map(|task| task.id) {
        let before = one.read(id).await?;
        ensure_eq!(other.purge(id).await?, Some(Purged::NotEnded));
        ensure!(one.read(id).await? == before, "the task changed");
    }
    one.complete(&working, "1").await?;
    ensure_eq!(one.take_one(steady(), "t").await?.id, queued.id);
    Ok(())
}

async fn purge_leaves_what_is_in_use(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let lingering = one.start(lease, task("t")).await?;
    let end = completed(&lingering, "1").lingering();
    let finished = one.finish(lingering.id, lingering.epoch, end).await?;
    ensure_eq!(finished, Ok(()));
    let before = one.read(lingering.id).await?;
    ensure_eq!(other.purge(lingering.id).await?, Some(Purged::InUse));
    ensure!(one.read(lingering.id).await? == before, "the task changed");
    ensure_eq!(one.owned(lease).await?, [lingering.id]);
    let stopped = one.release(lingering.id, lingering.epoch, Release::Stopped);
    ensure_eq!(stopped.await?, Ok(()));
    ensure_eq!(other.purge(lingering.id).await?, Some(Purged::Gone));

    let id = one.ended("t").await?;
    ensure_eq!(other.purge(id).await?, Some(Purged::InUse));
    let claimed = one.notice_of(id).await?;
    ensure_eq!(other.purge(id).await?, Some(Purged::InUse));
    let told = told(&claimed, "delivered")?;
    ensure!(one.settle_notice(told).await?, "it is not the caller's");
    ensure_eq!(other.purge(id).await?, Some(Purged::Gone));
    Ok(())
}

async fn purge_finds_no_unknown_task(space: Space) -> Outcome {
    ensure_eq!(space.one.purge(TaskId::random()).await?, None);
    let record = space.one.start(steady(), space.fleeting("t")).await?;
    space.one.complete(&record, "1").await?;
    let mut patience = space.patience("the retention was over");
    while space.one.get(record.id).await?.is_some() {
        patience.pause().await?;
    }
    ensure_eq!(space.other.purge(record.id).await?, None);
    space.one.reap(MANY).await?;
    ensure_eq!(space.other.purge(record.id).await?, None);
    Ok(())
}

async fn stats_count_what_is_there(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let (busy, closing) = (steady(), steady());
    let nothing = other.stats().await?;
    ensure_eq!((nothing.queues, nothing.sessions), (vec![], vec![]));
    let counts = (nothing.running, nothing.records, nothing.notices);
    ensure_eq!(counts, (0, 0, 0));

    let working = one.start(busy, task("work")).await?;
    let waiting = one.start(busy, task("work")).await?;
    one.wait_for(&waiting, &["q"]).await?;
    let lingering = one.start(closing, task("work")).await?;
    let end = completed(&lingering, "1").lingering();
    let finished = one.finish(lingering.id, lingering.epoch, end).await?;
    ensure_eq!(finished, Ok(()));
    let ended = [one.ended("work").await?, one.ended("work").await?];
    let mut claimed = one.claim_notices(LONG, 1).await?;
    ensure_eq!(claimed.len(), 1);
    let backed_off = one.start(busy, task("u")).await?;
    one.retry(&backed_off, LONG).await?;
    // Another moment.
    tokio::time::sleep(space.lease / 30).await;
    let first = one.queue("t").await?;
    tokio::time::sleep(space.lease / 30).await;
    one.queue("u").await?;
    one.queue("t").await?;

    let stats = other.stats().await?;
    let queues = [
        QueueStats::new("t", 2, first.created_at),
        QueueStats::new("u", 2, backed_off.created_at),
    ];
    ensure_eq!(stats.queues, queues);
    ensure_eq!(stats.queued(), 4);
    ensure_eq!((stats.running, stats.records, stats.notices), (2, 9, 2));
    ensure!(stats.at >= first.created_at, "an old time: {stats:?}");
    let mut beats = Vec::new();
    for (lease, owned) in [(busy, 2), (closing, 1)] {
        let found = stats.sessions.iter();
        let found: Vec<_> = found.filter(|it| it.session == lease.session).collect();
        ensure_eq!(found.len(), 1);
        ensure_eq!((found[0].owned, found[0].lease), (owned, lease.duration));
        beats.push(found[0].beats);
    }
    ensure_eq!(stats.sessions.len(), 2);

    one.beat(busy, vec![report(&working, 1)]).await?;
    let stats = other.stats().await?;
    for (lease, before, renewed) in [(busy, beats[0], true), (closing, beats[1], false)] {
        let mut found = stats.sessions.iter();
        let now = found.find(|it| it.session == lease.session);
        let changed = now.is_some_and(|now| now.beats != before);
        ensure!(changed == renewed, "{lease:?} had {before}: {stats:?}");
    }

    one.complete(&working, "1").await?;
    one.complete(&waiting, "1").await?;
    let stopped = one.release(lingering.id, lingering.epoch, Release::Stopped);
    ensure_eq!(stopped.await?, Ok(()));
    claimed.append(&mut one.notices().await?);
    for record in &claimed {
        one.settle_notice(told(record, "delivered")?).await?;
    }
    ensure_eq!(other.purge(ended[0]).await?, Some(Purged::Gone));
    one.take(closing, "t").await?;
    one.take(closing, "u").await?;
    let stats = other.stats().await?;
    ensure_eq!(stats.queued(), 1);
    ensure_eq!((stats.running, stats.records, stats.notices), (3, 8, 0));
    let sessions: Vec<_> = stats.sessions.iter().map(|it| it.session).collect();
    ensure_eq!(sessions, [closing.session]);
    Ok(())
}
