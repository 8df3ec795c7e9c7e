//! Hearing of changes.

use std::time::Duration;

use super::check::{Outcome, Part};
use super::space::{
    LONG, MANY, Reader, Space, completed, existing, keyed, limited, report, steady, task,
};
use crate::store::{Change, Release};

cases![
    changes_tell_of_ends_and_steps,
    changes_tell_of_cancel_requests,
    changes_tell_of_queued_tasks,
    every_reader_of_changes_gets_them,
];

async fn changes_tell_of_ends_and_steps(space: Space) -> Outcome {
    let (one, lease) = (&space.one, steady());
    let mut changes = space.changes(&space.other);
    let id = one.accept(keyed("t", "k", 1)).await?.id;
    let record = one.take_one(lease, "t").await?;
    changes.hears(Change::Task(id), "a claim").await?;
    let mut step = report(&record, 1);
    step.revision += 1;
    one.beat(lease, vec![step]).await?;
    changes.hears(Change::Task(id), "a step").await?;
    one.wait_for(&record, &["q"]).await?;
    changes.hears(Change::Task(id), "a question").await?;
    one.reply(id, "q", "1").await?;
    changes.hears(Change::Task(id), "an answer").await?;
    one.cancel(id, "").await?;
    changes.hears(Change::Task(id), "a request to stop").await?;
    one.complete(&existing(one.offer(keyed("t", "k", 1)).await?)?, "1")
        .await?;
    changes.hears(Change::Task(id), "an end").await?;

    let id = one.queue("t").await?.id;
    let record = one.take_one(lease, "t").await?;
    changes.hears(Change::Task(id), "a claim").await?;
    one.give_back(&record).await?;
    changes.hears(Change::Task(id), "a release").await?;
    one.cancel(id, "").await?;
    changes
        .hears(Change::Task(id), "an end in the queue")
        .await?;

    let dead = one.start(space.brief(), task("t")).await?.id;
    changes.hears(Change::Task(dead), "a claim").await?;
    space
        .reap_until("the session was dead", MANY, |reaped| {
            reaped.interrupted.contains(&dead)
        })
        .await?;
    changes.hears(Change::Task(dead), "an interruption").await?;
    let mut late = task("t");
    late.max_wait = space.lease;
    let late = one.accept(late).await?.id;
    space
        .reap_until("the deadline had passed", MANY, |reaped| {
            reaped.expired.contains(&late)
        })
        .await?;
    changes.hears(Change::Task(late), "a deadline").await?;
    Ok(())
}

async fn changes_tell_of_cancel_requests(space: Space) -> Outcome {
    let mut changes = space.changes(&space.other);
    for reason in ["enough", ""] {
        let record = space.one.start(steady(), task("t")).await?;
        space.one.cancel(record.id, reason).await?;
        let of = "a request to stop";
        changes.hears(Change::Cancel(record.id), of).await?;
    }
    Ok(())
}

async fn changes_tell_of_queued_tasks(space: Space) -> Outcome {
    let one = &space.one;
    let mut changes = space.changes(&space.other);
    one.queue("t").await?;
    changes.hears(Change::Queued, "a create").await?;
    let record = one.take_one(steady(), "t").await?;
    one.give_back(&record).await?;
    changes.hears(Change::Queued, "a release").await?;
    let record = one.take_one(steady(), "t").await?;
    one.retry(&record, Duration::ZERO).await?;
    changes
        .hears(Change::Queued, "a release for a retry")
        .await?;
    let record = one.take_one(steady(), "t").await?;
    one.complete(&record, "1").await?;

    // Only what frees the key is heard from here on.
    let holder = one.start(steady(), limited("t", "k", 1)).await?;
    one.accept(limited("u", "k", 1)).await?;
    let mut changes = space.settled().await?;
    let end = completed(&holder, "1").lingering();
    ensure_eq!(one.finish(holder.id, holder.epoch, end).await?, Ok(()));
    let stopped = one.release(holder.id, holder.epoch, Release::Stopped);
    ensure_eq!(stopped.await?, Ok(()));
    changes
        .hears(Change::Queued, "the end of a body that lingered")
        .await?;
    let holder = one.take_one(steady(), "u").await?;
    one.accept(limited("u", "k", 1)).await?;
    let mut changes = space.settled().await?;
    one.complete(&holder, "1").await?;
    changes
        .hears(Change::Queued, "the end of a task with a key")
        .await?;

    let dead = one.take_one(space.brief(), "u").await?;
    one.accept(limited("u", "k", 1)).await?;
    let mut changes = space.settled().await?;
    space
        .reap_until("the session was dead", MANY, |reaped| {
            reaped.interrupted.contains(&dead.id)
        })
        .await?;
    changes
        .hears(Change::Queued, "a takeover that freed a key")
        .await?;
    let mut again = task("v");
    again.max_attempts = 2;
    let dead = one.start(space.brief(), again).await?;
    let mut changes = space.settled().await?;
    space
        .reap_until("the session was dead", MANY, |reaped| {
            reaped.requeued.contains(&dead.id)
        })
        .await?;
    changes.hears(Change::Queued, "a takeover").await?;
    Ok(())
}

impl Space {
    /// A reader to whom everything that happened before is old news.
    async fn settled(&self) -> Part<Reader> {
        let mut changes = self.changes(&self.other);
        let marker = self.one.start(steady(), task("marker")).await?.id;
        self.one.cancel(marker, "").await?;
        let of = "a request to stop";
        changes.hears(Change::Cancel(marker), of).await?;
        Ok(changes)
    }
}

async fn every_reader_of_changes_gets_them(space: Space) -> Outcome {
    let mut readers = vec![
        space.changes(&space.one),
        space.changes(&space.other),
        space.changes(&space.other),
    ];
    for _ in 0..3 {
        let record = space.one.start(steady(), task("t")).await?;
        for reader in &mut readers {
            reader.hears(Change::Queued, "a create").await?;
            reader.hears(Change::Task(record.id), "a claim").await?;
        }
        space.one.retry(&record, LONG).await?;
        for reader in &mut readers {
            reader.hears(Change::Task(record.id), "a release").await?;
        }
        // Others go on when one has gone away.
        if readers.len() > 1 {
            readers.remove(0);
        }
    }
    Ok(())
}
