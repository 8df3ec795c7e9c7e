//! Renewing leases and keeping reports.

use std::time::Duration;

use super::check::{Failure, Outcome, Part, Problem};
use super::space::{LONG, MANY, Replica, Space, completed, message, report, sorted, steady, task};
use crate::store::{
    LogLine, Owned, ProgressState, Release, Report, Retry, Status, TaskId, Timestamp,
};

cases![
    beat_renews_the_lease,
    beat_keeps_reports,
    a_history_stays_until_it_is_replaced,
    beat_drops_reports_of_old_epochs,
    beat_drops_late_reports,
    beat_lists_what_the_session_owns,
];

fn with_line(mut report: Report, number: u64) -> Report {
    let text = format!("line {number}");
    report
        .log
        .push(LogLine::new(number, Timestamp(number), text));
    report
}

async fn lines(replica: &Replica, id: TaskId) -> Part<Vec<u64>> {
    let lines = replica.log(id, MANY).await?;
    Ok(lines.iter().map(|line| line.number).collect())
}

async fn beat_renews_the_lease(space: Space) -> Outcome {
    let lease = space.brief();
    let claimed = space.term();
    let record = space.one.start(lease, task("t")).await?;
    tokio::time::sleep(space.lease / 2).await;
    let renewed = space.term();
    if space.one.owned(lease).await?.is_empty() {
        // A lease that has run out cannot be renewed.
        ensure!(claimed.is_over(), "the session does not own its task");
        return Err(Failure::TooSlow);
    }
    let mut patience = space.patience("the session was dead");
    while space.one.read(record.id).await?.status == Status::Working {
        space.other.reap(MANY).await?;
        patience.pause().await?;
    }
    renewed.ensure_over("the session was taken for dead")?;
    Ok(())
}

async fn beat_keeps_reports(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let first = one.start(lease, task("t")).await?;
    let second = one.start(lease, task("t")).await?;
    let progress = ProgressState {
        fraction: Some(0.375),
        current: Some(3),
        total: Some(8),
        step: Some("compile".to_owned()),
        step_number: Some(2),
        step_count: Some(4),
        message: Some("'quoted' ✓".to_owned()),
        ..ProgressState::default()
    };
    let revision = first.revision + 5;
    let full = Report::new(first.id, first.epoch, 1, progress.clone(), revision);
    let reports = vec![with_line(full, 1), with_line(report(&second, 1), 7)];
    one.beat(lease, reports).await?;

    let read = other.read(first.id).await?;
    ensure_eq!(read.progress.as_deref(), Some(&progress));
    ensure_eq!((read.revision, read.report), (revision, 1));
    ensure_eq!(read.status, Status::Working);
    let log = other.log(first.id, MANY).await?;
    ensure_eq!(log, [LogLine::new(1, Timestamp(1), "line 1")]);
    let read = other.read(second.id).await?;
    ensure_eq!(message(&read), Some("report 1"));
    ensure_eq!(lines(&other, second.id).await?, [7]);

    one.beat(lease, vec![report(&second, 2)]).await?;
    let read = other.read(second.id).await?;
    ensure_eq!(message(&read), Some("report 2"));
    ensure_eq!(lines(&other, second.id).await?, [7]);
    Ok(())
}

async fn a_history_stays_until_it_is_replaced(Space { one, other, .. }: Space) -> Outcome {
    const FIRST: &str = "[{\"it's\": \"✓\", \"a\": 1.10}]";
    let lease = steady();
    let history = async |id| Part::Ok(other.read(id).await?.history);
    let first = one.start(lease, task("t")).await?;
    let id = first.id;
    ensure_eq!(first.history, None);
    ensure_eq!(history(id).await?, None);

    let with = |mut report: Report, history: &str| {
        report.history = Some(history.into());
        report
    };
    one.beat(lease, vec![with(report(&first, 2), FIRST)])
        .await?;
    ensure_eq!(history(id).await?.as_deref(), Some(FIRST));
    one.beat(lease, vec![report(&first, 3)]).await?;
    let late = with(report(&first, 1), "[\"late\"]");
    one.beat(lease, vec![late]).await?;
    ensure_eq!(history(id).await?.as_deref(), Some(FIRST));

    let retry = Retry::new(Duration::ZERO, "once more", 0);
    let released = one.release(id, first.epoch, Release::Retry(retry)).await?;
    ensure_eq!(released, Ok(()));
    let second = other.take_one(lease, "t").await?;
    ensure_eq!(second.history.as_deref(), Some(FIRST));
    one.give_back(&second).await?;
    let old = with(report(&first, 9), "[\"old\"]");
    one.beat(lease, vec![old]).await?;
    ensure_eq!(history(id).await?.as_deref(), Some(FIRST));
    let third = other.take_one(lease, "t").await?;
    let mut retry = Retry::new(Duration::ZERO, "once more", 0);
    retry.history = Some("[2]".into());
    let released = one.release(id, third.epoch, Release::Retry(retry)).await?;
    ensure_eq!(released, Ok(()));
    ensure_eq!(history(id).await?.as_deref(), Some("[2]"));

    // The end replaces it or leaves it, and then it stays.
    let last = one.take_one(lease, "t").await?;
    ensure_eq!(last.history.as_deref(), Some("[2]"));
    let kept = one.start(lease, task("t")).await?;
    one.beat(lease, vec![with(report(&kept, 1), FIRST)]).await?;
    one.complete(&kept, "1").await?;
    let mut end = completed(&last, "1");
    end.history = Some("[3]".into());
    ensure_eq!(one.finish(id, last.epoch, end).await?, Ok(()));
    one.beat(lease, vec![with(report(&last, 9), "[4]")]).await?;
    ensure_eq!(history(id).await?.as_deref(), Some("[3]"));
    ensure_eq!(history(kept.id).await?.as_deref(), Some(FIRST));
    Ok(())
}

async fn beat_drops_reports_of_old_epochs(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let old = one.start(lease, task("t")).await?;
    one.give_back(&old).await?;
    one.beat(lease, vec![with_line(report(&old, 1), 1)]).await?;
    ensure_eq!(one.read(old.id).await?.progress, None);

    let record = one.take_one(lease, "t").await?;
    one.beat(lease, vec![with_line(report(&old, 9), 1)]).await?;
    let read = other.read(old.id).await?;
    ensure_eq!((read.progress, read.report), (None, 0));
    one.beat(lease, vec![report(&record, 1)]).await?;
    one.complete(&record, "1").await?;
    let ended = other.read(old.id).await?;
    let mut late = report(&record, 2);
    late.revision = ended.revision + 9;
    one.beat(lease, vec![with_line(late, 2)]).await?;
    ensure!(other.read(old.id).await? == ended, "an ended task changed");
    ensure_eq!(lines(&other, old.id).await?, [0; 0]);

    // One that is dropped does not take the others along.
    let kept = one.start(lease, task("t")).await?;
    let unknown = Report::new(TaskId::random(), old.epoch, 1, ProgressState::default(), 1);
    let reports = vec![report(&old, 3), unknown, report(&kept, 1)];
    one.beat(lease, reports).await?;
    ensure_eq!(message(&other.read(kept.id).await?), Some("report 1"));
    Ok(())
}

async fn beat_drops_late_reports(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let record = one.start(lease, task("t")).await?;
    one.beat(lease, vec![with_line(report(&record, 5), 5)])
        .await?;
    let kept = other.read(record.id).await?;
    for number in [5, 4, 1] {
        let mut late = report(&record, number);
        late.progress = ProgressState::default().into();
        late.revision = record.revision + 9;
        one.beat(lease, vec![with_line(late, number + 5)]).await?;
        ensure!(
            other.read(record.id).await? == kept,
            "report {number} after report 5 changed the task"
        );
    }
    ensure_eq!(lines(&other, record.id).await?, [5]);

    one.beat(lease, vec![report(&record, 6)]).await?;
    ensure_eq!(message(&other.read(record.id).await?), Some("report 6"));
    // The next epoch counts from 1 again.
    one.give_back(&record).await?;
    let record = other.take_one(lease, "t").await?;
    one.beat(lease, vec![report(&record, 1)]).await?;
    ensure_eq!(message(&other.read(record.id).await?), Some("report 1"));
    Ok(())
}

async fn beat_lists_what_the_session_owns(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let silent = one.start(lease, task("t")).await?;
    let reported = one.start(lease, task("t")).await?;
    let asked = one.start(lease, task("t")).await?;
    let lingering = one.start(lease, task("t")).await?;
    let ended = one.start(lease, task("t")).await?;
    let given_up = one.start(lease, task("t")).await?;
    one.retry(&given_up, LONG).await?;
    one.complete(&ended, "1").await?;
    let end = completed(&lingering, "1").lingering();
    let finished = one.finish(lingering.id, lingering.epoch, end).await?;
    ensure_eq!(finished, Ok(()));
    other.cancel(asked.id, "enough").await?;
    other.start(steady(), task("t")).await?;

    let beat = one.beat(lease, vec![report(&reported, 1)]).await?;
    let owned = |id: TaskId| -> Part<&Owned> {
        let found = beat.owned.iter().find(|owned| owned.id == id);
        found.ok_or_else(|| Problem::new(format!("{id} is missing in {beat:?}")))
    };
    let listed = beat.owned.iter().map(|owned| owned.id).collect();
    let expected = vec![silent.id, reported.id, asked.id, lingering.id];
    ensure_eq!(sorted(listed), sorted(expected));
    for record in [&silent, &reported, &asked, &lingering] {
        let owned = owned(record.id)?;
        ensure_eq!(owned.epoch, record.epoch);
        ensure_eq!(owned.lingers, record.id == lingering.id);
        let reason = (record.id == asked.id).then_some("enough");
        ensure_eq!(owned.cancel.as_deref(), reason);
    }
    ensure_eq!(other.owned(steady()).await?, []);

    one.complete(&silent, "1").await?;
    one.give_back(&reported).await?;
    let stopped = one.release(lingering.id, lingering.epoch, Release::Stopped);
    ensure_eq!(stopped.await?, Ok(()));
    ensure_eq!(one.owned(lease).await?, [asked.id]);
    Ok(())
}
