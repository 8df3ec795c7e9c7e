//! Notices: what is to be told to somebody outside.

use std::time::Duration;

use super::check::{Failure, Outcome, Part, Problem};
use super::space::{LONG, MANY, Replica, Space, ids, race, result, sorted, steady, task};
use crate::store::{Filter, NewTask, Notice, Owner, Status, TaskId, TaskRecord, Timestamp, Told};

cases![
    an_end_gives_a_notice,
    questions_give_a_notice,
    a_later_notice_replaces_an_earlier_one,
    claim_notices_takes_the_longest_due_first,
    a_claimed_notice_is_due_again_after_the_pause,
    a_settled_notice_is_not_claimed,
    settle_notice_needs_the_claim,
    a_notice_is_kept_with_its_task,
];

/// A task of which somebody wants to be told.
pub(super) fn notified(tool: &str) -> NewTask {
    let mut new = task(tool);
    new.notify = true;
    new
}

fn notice(record: &TaskRecord) -> Part<&Notice> {
    let notice = record.notice.as_ref();
    notice.ok_or_else(|| Problem::new(format!("there is no notice: {record:?}")))
}

/// What is told of a notice that was claimed; the state is a JSON string.
pub(super) fn told(claimed: &TaskRecord, state: &str) -> Part<Told> {
    let told = Told::of(claimed, format!("\"{state}\""));
    told.ok_or_else(|| Problem::new("a notice was claimed and is not due"))
}

impl Replica {
    /// Claims all notices that are due, for longer than any case takes.
    pub(super) async fn notices(&self) -> Part<Vec<TaskRecord>> {
        Ok(self.claim_notices(LONG, MANY).await?)
    }

    /// Claims the notice of this task, the only one that is due.
    pub(super) async fn notice_of(&self, id: TaskId) -> Part<TaskRecord> {
        let mut claimed = self.notices().await?;
        ensure_eq!(ids(&claimed), [id]);
        Ok(claimed.remove(0))
    }

    /// Creates a task with a notice, which a worker has ended.
    pub(super) async fn ended(&self, tool: &str) -> Part<TaskId> {
        let record = self.start(steady(), notified(tool)).await?;
        self.complete(&record, "[1]").await?;
        Ok(record.id)
    }
}

async fn an_end_gives_a_notice(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let silent = one.start(steady(), task("t")).await?;
    one.complete(&silent, "1").await?;
    ensure_eq!(other.read(silent.id).await?.notice, None);

    let finished = one.start(steady(), notified("t")).await?;
    let cancelled = one.accept(notified("u")).await?.id;
    let released = one.start(steady(), notified("t")).await?;
    other.cancel(released.id, "enough").await?;
    let mut late = notified("late");
    late.max_wait = space.lease;
    let late = one.accept(late).await?.id;
    let dead = one.start(space.brief(), notified("t")).await?.id;
    for id in [finished.id, cancelled, released.id] {
        ensure_eq!(other.read(id).await?.notice, Some(Notice::default()));
    }
    ensure_eq!(ids(&other.notices().await?), []);

    one.complete(&finished, "[1]").await?;
    other.cancel(cancelled, "enough").await?;
    one.give_back(&released).await?;
    let mut patience = space.patience("the deadline had passed and the session was dead");
    for id in [late, dead] {
        while !other.read(id).await?.status.is_terminal() {
            other.reap(MANY).await?;
            patience.pause().await?;
        }
    }
    let ended = [finished.id, cancelled, released.id, late, dead];
    for id in ended {
        let read = other.read(id).await?;
        let notice = notice(&read)?;
        ensure_eq!((notice.number, &notice.state), (1, &None));
        ensure!(notice.due.is_some(), "the end of {read:?} is not due");
    }
    let claimed = other.notices().await?;
    ensure_eq!(sorted(ids(&claimed)), sorted(ended.to_vec()));
    for record in &claimed {
        ensure!(
            *record == one.read(record.id).await?,
            "it is not given as it is read: {record:?}"
        );
        let expected = (record.id == finished.id).then_some("[1]");
        ensure_eq!(result(record), expected);
    }
    Ok(())
}

async fn questions_give_a_notice(Space { one, other, .. }: Space) -> Outcome {
    let silent = one.start(steady(), task("t")).await?;
    one.wait_for(&silent, &["p"]).await?;
    ensure_eq!(other.read(silent.id).await?.notice, None);

    let record = one.start(steady(), notified("t")).await?;
    one.wait_for(&record, &["p"]).await?;
    let asked = other.read(record.id).await?;
    ensure_eq!((notice(&asked)?.number, &notice(&asked)?.state), (1, &None));
    let claimed = other.notice_of(record.id).await?;
    ensure_eq!(claimed.status, Status::InputRequired);
    ensure!(claimed.input == asked.input, "told with other questions");

    // The same again is no news, and neither is that nothing is asked any more.
    one.wait_for(&record, &["p"]).await?;
    one.wait_for(&record, &[]).await?;
    ensure_eq!(other.read(record.id).await?.notice, claimed.notice);
    ensure_eq!(ids(&other.notices().await?), []);
    one.wait_for(&record, &["q"]).await?;
    let claimed = other.notice_of(record.id).await?;
    ensure_eq!(notice(&claimed)?.number, 2);
    other.reply(record.id, "q", "true").await?;
    ensure_eq!(other.read(record.id).await?.notice, claimed.notice);
    Ok(())
}

async fn a_later_notice_replaces_an_earlier_one(Space { one, other, .. }: Space) -> Outcome {
    let record = one.start(steady(), notified("t")).await?;
    one.wait_for(&record, &["p"]).await?;
    let earlier = other.notice_of(record.id).await?;
    let failed = told(&earlier, "failed")?.again(LONG);
    ensure!(one.settle_notice(failed).await?, "it is not the caller's");
    let again = one.read(record.id).await?;
    ensure!(notice(&again)?.state.is_some(), "the state is lost");

    one.complete(&record, "1").await?;
    let ended = other.read(record.id).await?;
    ensure_eq!((notice(&ended)?.number, &notice(&ended)?.state), (2, &None));
    let later = other.notice_of(record.id).await?;
    ensure_eq!((notice(&later)?.number, &notice(&later)?.state), (2, &None));
    ensure_eq!(later.status, Status::Completed);
    let late = told(&again, "delivered")?;
    ensure!(!one.settle_notice(late).await?, "an earlier one is settled");
    ensure_eq!(other.read(record.id).await?.notice, later.notice);
    Ok(())
}

async fn claim_notices_takes_the_longest_due_first(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let mut expired = notified("u");
    expired.retention = space.lease;
    let expired = one.start(steady(), expired).await?;
    one.complete(&expired, "1").await?;

    let mut records = Vec::new();
    for _ in 0..4 {
        records.push(one.start(steady(), notified("t")).await?);
    }
    let order = [2, 0, 3, 1].map(|place: usize| &records[place]);
    for record in order {
        // Another moment for each.
        tokio::time::sleep(space.lease / 30).await;
        one.complete(record, "1").await?;
    }
    let mut patience = space.patience("the retention was over");
    while one.get(expired.id).await?.is_some() {
        patience.pause().await?;
    }
    let order = order.map(|record| record.id);
    ensure_eq!(ids(&other.claim_notices(LONG, 0).await?), []);
    ensure_eq!(ids(&other.claim_notices(LONG, 3).await?), order[..3]);
    ensure_eq!(ids(&one.claim_notices(LONG, 3).await?), order[3..]);
    one.reap(MANY).await?;
    ensure_eq!(ids(&other.notices().await?), []);
    Ok(())
}

async fn a_claimed_notice_is_due_again_after_the_pause(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let id = one.ended("t").await?;
    let term = space.term();
    let first = one.claim_notices(space.lease, MANY).await?;
    ensure_eq!(ids(&first), [id]);
    let mut patience = space.patience("it was due again");
    let again = loop {
        let again = other.notices().await?;
        if !again.is_empty() {
            break again;
        }
        patience.pause().await?;
    };
    term.ensure_over("it was due again")?;
    ensure_eq!(ids(&again), [id]);
    let due = notice(&first[0])?.due;
    ensure!(notice(&again[0])?.due > due, "no new moment: {again:?}");
    ensure_eq!(notice(&again[0])?.number, 1);

    for _ in 0..4 {
        let id = one.ended("t").await?;
        let claims = (0..8).map(|number| {
            let replica = if number % 2 == 0 { one } else { other }.clone();
            async move { replica.notices().await }
        });
        let claimed = race(claims).await?.concat();
        ensure_eq!(ids(&claimed), [id]);
    }
    Ok(())
}

async fn a_settled_notice_is_not_claimed(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let delivered = one.ended("t").await?;
    let claimed = one.claim_notices(space.lease, MANY).await?;
    ensure_eq!(ids(&claimed), [delivered]);
    let settled = other.settle_notice(told(&claimed[0], "delivered")?).await?;
    ensure!(settled, "it is not the caller's");

    // Until another one comes again, the pause of the first is over as well.
    let refused = one.ended("t").await?;
    let claimed = one.notice_of(refused).await?;
    let next = space.term();
    let refusal = told(&claimed, "refused")?.again(space.lease);
    ensure!(one.settle_notice(refusal).await?, "it is not the caller's");
    let mut patience = space.patience("the next try was due");
    let again = loop {
        let again = other.notices().await?;
        if !again.is_empty() {
            break again;
        }
        patience.pause().await?;
    };
    next.ensure_over("the next try was due")?;
    ensure_eq!(ids(&again), [refused]);
    let kept = notice(&again[0])?;
    ensure_eq!(
        (kept.number, kept.state.as_deref()),
        (1, Some("\"refused\""))
    );
    Ok(())
}

async fn settle_notice_needs_the_claim(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let id = one.ended("t").await?;
    let old = one.claim_notices(Duration::from_millis(1), MANY).await?;
    ensure_eq!(ids(&old), [id]);
    let mut patience = space.patience("it was due again");
    let claimed = loop {
        if let Some(claimed) = other.notices().await?.pop() {
            break claimed;
        }
        patience.pause().await?;
    };
    let right = told(&claimed, "right")?;
    let mut wrong = vec![told(&old[0], "old")?];
    for number in [0, right.number + 1] {
        let mut other_number = told(&claimed, "another number")?;
        other_number.number = number;
        wrong.push(other_number);
    }
    let mut other_due = told(&claimed, "another moment")?;
    other_due.due = Timestamp(right.due.0 + 1);
    wrong.push(other_due);
    let mut unknown = told(&claimed, "another task")?;
    unknown.id = TaskId::random();
    wrong.push(unknown);
    for wrong in wrong {
        let shown = format!("{wrong:?}");
        ensure!(!one.settle_notice(wrong).await?, "{shown} is settled");
        ensure_eq!(other.read(id).await?.notice, claimed.notice);
    }
    ensure!(one.settle_notice(right.clone()).await?, "it is refused");
    ensure!(!one.settle_notice(right).await?, "it is settled twice");

    let mut fleeting = notified("t");
    fleeting.retention = space.lease;
    let record = one.start(steady(), fleeting).await?;
    let retention = space.term();
    one.complete(&record, "1").await?;
    let Some(claimed) = one.notices().await?.pop() else {
        ensure!(retention.is_over(), "no notice of an end");
        return Err(Failure::TooSlow);
    };
    while other.get(record.id).await?.is_some() {
        patience.pause().await?;
    }
    let gone = told(&claimed, "gone")?;
    ensure!(!one.settle_notice(gone).await?, "its task is gone");
    Ok(())
}

async fn a_notice_is_kept_with_its_task(Space { one, other, .. }: Space) -> Outcome {
    let ids = [one.ended("t").await?, one.ended("u").await?];
    let ended = other.read(ids[0]).await?;
    for record in one.notices().await? {
        ensure_eq!(other.read(record.id).await?.notice, record.notice);
        let mut told = told(&record, "it's ✓")?;
        if record.id == ids[0] {
            told = told.again(LONG);
        }
        ensure!(other.settle_notice(told).await?, "it is not the caller's");
    }
    let listed = other.list(&Filter::of(Owner::Anybody), None, MANY).await?;
    ensure_eq!(listed.len(), 2);
    for listed in listed {
        let read = one.read(listed.id).await?;
        let kept = notice(&read)?;
        ensure_eq!(
            (kept.number, kept.state.as_deref()),
            (1, Some("\"it's ✓\""))
        );
        ensure_eq!(kept.due.is_some(), read.id == ids[0]);
        ensure_eq!(listed.notice.as_ref(), Some(kept));
    }
    // Nothing else of the task has changed.
    let told = TaskRecord {
        notice: ended.notice.clone(),
        ..TaskRecord::clone(&one.read(ids[0]).await?)
    };
    ensure!(told == ended, "another task: {told:?}");
    Ok(())
}
