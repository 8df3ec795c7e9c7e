//! Recording steps.

use std::time::Duration;

use super::check::{Outcome, Part};
use super::space::{MANY, Replica, Space, steady, task};
use crate::store::{Refused, StepRecord, TaskId, TaskRecord};

cases![
    a_step_is_recorded_once,
    record_step_needs_the_epoch,
    steps_survive_attempts,
];

async fn record(
    replica: &Replica,
    record: &TaskRecord,
    name: &str,
    result: &str,
) -> Part<Result<(), Refused>> {
    let step = StepRecord::new(name, result);
    Ok(replica.record_step(record.id, record.epoch, step).await?)
}

async fn a_step_is_recorded_once(Space { one, other, .. }: Space) -> Outcome {
    let first = one.start(steady(), task("t")).await?;
    ensure_eq!(record(&one, &first, "s ✓", "1").await?, Ok(()));
    ensure_eq!(record(&one, &first, "s ✓", "2").await?, Ok(()));
    let kept = [StepRecord::new("s ✓", "1")];
    ensure!(other.steps(first.id).await? == kept, "not the first result");

    one.retry(&first, Duration::ZERO).await?;
    let second = other.take_one(steady(), "t").await?;
    ensure_eq!(record(&other, &second, "s ✓", "3").await?, Ok(()));
    ensure!(one.steps(first.id).await? == kept, "not the first result");

    // The names of another task are others.
    let another = one.start(steady(), task("t")).await?;
    ensure_eq!(record(&one, &another, "s ✓", "4").await?, Ok(()));
    let kept = [StepRecord::new("s ✓", "4")];
    ensure!(
        other.steps(another.id).await? == kept,
        "another task's step"
    );
    Ok(())
}

async fn record_step_needs_the_epoch(Space { one, other, .. }: Space) -> Outcome {
    let mut old = one.start(steady(), task("t")).await?;
    one.give_back(&old).await?;
    ensure_eq!(record(&other, &old, "s", "1").await?, Err(Refused::Fenced));
    let current = one.take_one(steady(), "t").await?;
    ensure_eq!(record(&other, &old, "s", "1").await?, Err(Refused::Fenced));
    old.epoch = current.epoch.next();
    ensure_eq!(record(&other, &old, "s", "1").await?, Err(Refused::Fenced));
    old.id = TaskId::random();
    ensure_eq!(record(&other, &old, "s", "1").await?, Err(Refused::Fenced));
    ensure_eq!(one.steps(current.id).await?, []);
    one.complete(&current, "1").await?;
    ensure_eq!(
        record(&one, &current, "s", "1").await?,
        Err(Refused::Terminal)
    );
    Ok(())
}

async fn steps_survive_attempts(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let mut new = task("t");
    new.max_attempts = 9;
    let first = one.start(steady(), new).await?;
    ensure_eq!(record(one, &first, "zeta", "1").await?, Ok(()));
    ensure_eq!(record(one, &first, "alpha", "2").await?, Ok(()));
    one.retry(&first, Duration::ZERO).await?;
    let second = other.take_one(steady(), "t").await?;
    ensure_eq!(record(other, &second, "mid", "3").await?, Ok(()));
    other.give_back(&second).await?;
    let third = one.take_one(space.brief(), "t").await?;
    ensure_eq!(record(one, &third, "beta", "4").await?, Ok(()));
    space
        .reap_until("the session was dead", MANY, |reaped| {
            reaped.requeued.contains(&third.id)
        })
        .await?;
    other.take_one(steady(), "t").await?;

    let names = ["zeta", "alpha", "mid", "beta"];
    let expected = names
        .iter()
        .zip(1..)
        .map(|(name, number)| StepRecord::new(*name, number.to_string()));
    for replica in [one, other] {
        let steps = replica.steps(first.id).await?;
        ensure!(
            steps.iter().cloned().eq(expected.clone()),
            "the steps are {steps:?}"
        );
    }
    Ok(())
}
