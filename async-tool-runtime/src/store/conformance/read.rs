//! Reading tasks, logs and lists.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::check::Outcome;
use super::space::{
    LONG, MANY, Replica, Space, completed, ids, message, race, report, result, steady, task,
};
use crate::store::{
    Cursor, End, Filter, Lease, LogLine, NewTask, Outcome as TaskOutcome, Owner, Principal, Status,
    TaskFailure, TaskId, TaskRecord, Timestamp,
};

cases![
    get_reads_what_was_written,
    get_finds_nothing_after_retention,
    log_gives_the_last_lines,
    log_keeps_a_limited_number_of_lines,
    a_log_line_is_kept_once,
    list_is_newest_first,
    list_goes_on_after_the_cursor,
    list_filters,
    list_leaves_out_what_has_expired,
    list_leaves_out_arguments_and_results,
];

async fn get_reads_what_was_written(Space { one, other, .. }: Space) -> Outcome {
    ensure!(
        one.get(TaskId::random()).await?.is_none(),
        "a task of no one"
    );
    for (one, other) in [(&one, &other), (&other, &one)] {
        let mut new = task("t");
        new.principal = Some(Principal::new("ann"));
        let lease = steady();
        let created = one.accept(new).await?;
        let read = other.read(created.id).await?;
        ensure!(
            read.arguments.is_empty(),
            "a task is read with its arguments"
        );
        ensure_eq!(
            (read.status, read.principal),
            (Status::Queued, created.principal)
        );
        ensure_eq!(read.created_at, created.created_at);

        let claimed = one.take_one(lease, "t").await?;
        let read = other.read(created.id).await?;
        ensure_eq!(
            (read.status, read.owner),
            (Status::Working, Some(lease.session))
        );
        ensure_eq!(
            (read.epoch, read.revision),
            (claimed.epoch, claimed.revision)
        );
        ensure_eq!(read.started_at, claimed.started_at);
        one.beat(lease, vec![report(&claimed, 1)]).await?;
        ensure_eq!(message(&other.read(created.id).await?), Some("report 1"));
        one.cancel(created.id, "enough").await?;
        let read = other.read(created.id).await?;
        ensure_eq!(read.cancel.as_deref(), Some("enough"));
        one.complete(&claimed, "[1]").await?;
        let read = other.read(created.id).await?;
        ensure_eq!(
            (read.status, result(&read)),
            (Status::Completed, Some("[1]"))
        );
        ensure!(
            one.read(created.id).await? == read,
            "two readers, two tasks"
        );
    }
    Ok(())
}

async fn get_finds_nothing_after_retention(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let record = one.start(steady(), space.fleeting("t")).await?;
    let retention = space.term();
    one.complete(&record, "1").await?;
    let mut patience = space.patience("the retention was over");
    while let Some(ended) = other.get(record.id).await? {
        ensure_eq!(result(&ended), Some("1"));
        patience.pause().await?;
    }
    retention.ensure_over("the task was gone")?;
    space
        .reap_until("it was purged", MANY, |reaped| {
            reaped.purged.contains(&record.id)
        })
        .await?;
    ensure!(one.get(record.id).await?.is_none(), "it is back");
    Ok(())
}

/// Reports these lines of a task's log, some with each beat.
async fn write_log(
    replica: &Replica,
    lease: Lease,
    record: &TaskRecord,
    first_report: u64,
    beats: &[RangeInclusive<u64>],
) -> Outcome {
    for (number, lines) in (first_report..).zip(beats) {
        let mut report = report(record, number);
        report.log = lines.clone().map(line).collect();
        replica.beat(lease, vec![report]).await?;
    }
    Ok(())
}

fn line(number: u64) -> LogLine {
    LogLine::new(number, Timestamp(1000 + number), format!("line {number} ✓"))
}

async fn log_gives_the_last_lines(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let record = one.start(lease, task("t")).await?;
    ensure_eq!(other.log(record.id, MANY).await?, []);
    write_log(&one, lease, &record, 1, &[1..=1, 2..=4, 5..=12]).await?;
    let lines: Vec<LogLine> = (1..=12).map(line).collect();
    ensure_eq!(other.log(record.id, MANY).await?, lines);
    ensure_eq!(other.log(record.id, 3).await?, lines[9..]);
    ensure_eq!(other.log(record.id, 0).await?, []);
    ensure_eq!(other.log(TaskId::random(), 3).await?, []);

    one.retry(&record, Duration::ZERO).await?;
    let record = one.take_one(lease, "t").await?;
    write_log(&one, lease, &record, 1, &[13..=13]).await?;
    one.complete(&record, "1").await?;
    ensure_eq!(other.log(record.id, 2).await?, [line(12), line(13)]);
    Ok(())
}

async fn log_keeps_a_limited_number_of_lines(Space { one, other, .. }: Space) -> Outcome {
    let kept = u64::try_from(LogLine::KEPT).unwrap_or(u64::MAX);
    let last_lines = |last: u64| (last - kept + 1..=last).map(line).collect::<Vec<_>>();
    let lease = steady();
    let record = one.start(lease, task("t")).await?;
    let beats = [1..=kept, kept + 1..=kept + 4, kept + 5..=3 * kept];
    for (number, lines) in (1..).zip(beats) {
        write_log(&one, lease, &record, number, std::slice::from_ref(&lines)).await?;
        ensure_eq!(other.log(record.id, MANY).await?, last_lines(*lines.end()));
    }
    let log = (3 * kept + 1..=5 * kept).map(line).collect();
    let end = completed(&record, "1").with_log(log);
    ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
    ensure_eq!(other.log(record.id, MANY).await?, last_lines(5 * kept));
    Ok(())
}

async fn a_log_line_is_kept_once(Space { one, other, .. }: Space) -> Outcome {
    let lease = steady();
    let record = one.start(lease, task("t")).await?;
    write_log(&one, lease, &record, 1, &[1..=3, 1..=3, 2..=5]).await?;
    let end = completed(&record, "1").with_log((4..=6).map(line).collect());
    ensure_eq!(one.finish(record.id, record.epoch, end).await?, Ok(()));
    let lines: Vec<LogLine> = (1..=6).map(line).collect();
    ensure_eq!(other.log(record.id, MANY).await?, lines);
    Ok(())
}

fn everything() -> Filter {
    Filter::of(Owner::Anybody)
}

async fn list_is_newest_first(Space { one, other, .. }: Space) -> Outcome {
    // Some of the same moment, and some that are not.
    for _ in 0..3 {
        let creates = (0..8).map(|number| {
            let replica = if number % 2 == 0 { &one } else { &other }.clone();
            async move { replica.queue("t").await }
        });
        race(creates).await?;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let record = one.take_one(steady(), "t").await?;
    one.complete(&record, "1").await?;
    let listed = other.list(&everything(), None, MANY).await?;
    ensure_eq!(listed.len(), 24);
    let places: Vec<Cursor> = listed.iter().map(Cursor::of).collect();
    ensure!(
        places.is_sorted_by(|newer, older| newer > older),
        "the list is out of order: {places:?}"
    );
    let first = other.list(&everything(), None, 5).await?;
    ensure_eq!(ids(&first), ids(&listed[..5]));
    Ok(())
}

async fn list_goes_on_after_the_cursor(Space { one, other, .. }: Space) -> Outcome {
    let creates = (0..23).map(|_| {
        let replica = one.clone();
        async move { Ok(replica.queue("t").await?.id) }
    });
    let created = race(creates).await?;
    let (mut seen, mut after) = (HashSet::new(), None);
    loop {
        let page = other.list(&everything(), after, 4).await?;
        ensure!(page.len() <= 4, "a page of {} tasks", page.len());
        let Some(last) = page.last() else { break };
        after = Some(Cursor::of(last));
        for id in ids(&page) {
            ensure!(seen.insert(id), "the pages repeat a task");
        }
        // What is new or changes on the way moves nothing.
        one.queue("u").await?;
        if let Some(record) = one.try_take_one(steady(), "t").await? {
            one.complete(&record, "1").await?;
        }
    }
    let missed = created.iter().filter(|id| !seen.contains(*id)).count();
    ensure!(
        missed == 0,
        "the pages miss {missed} tasks of {}",
        created.len()
    );
    Ok(())
}

async fn list_filters(Space { one, other, .. }: Space) -> Outcome {
    let owned = |principal: Option<&str>, tool: &str| {
        let mut new = task(tool);
        new.principal = principal.map(Principal::new);
        new
    };
    let accept = async |new: NewTask| one.accept(new).await;
    let mut all = Vec::new();
    for principal in [None, Some("ann"), Some("bob")] {
        for tool in ["t", "u"] {
            all.push(accept(owned(principal, tool)).await?);
            one.start(steady(), owned(principal, "working")).await?;
        }
    }
    for status in [Status::Completed, Status::Failed, Status::Cancelled] {
        let record = one.start(steady(), owned(Some("ann"), "ended")).await?;
        let outcome = match status {
            Status::Failed => TaskOutcome::Failed(TaskFailure::new("c", "m").into()),
            Status::Cancelled => TaskOutcome::Cancelled("".into()),
            _ => TaskOutcome::Completed("1".into()),
        };
        let finished = one.finish(record.id, record.epoch, End::new(outcome, 0));
        ensure_eq!(finished.await?, Ok(()));
    }
    let every = other.list(&everything(), None, MANY).await?;
    ensure_eq!(every.len(), 15);

    let owners = [
        Owner::Anybody,
        Owner::Nobody,
        Owner::Principal(Principal::new("ann")),
        Owner::Principal(Principal::new("carl")),
    ];
    let tools = [
        None,
        Some("t"),
        Some("working"),
        Some("ended"),
        Some("none"),
    ];
    let statuses = [
        None,
        Some(Status::Queued),
        Some(Status::Working),
        Some(Status::Completed),
        Some(Status::Cancelled),
    ];
    for owner in owners {
        for tool in tools {
            for status in statuses {
                let mut filter = Filter::of(owner.clone());
                filter.tool = tool.map(Arc::from);
                filter.status = status;
                let found = ids(&other.list(&filter, None, MANY).await?);
                let admitted = every.iter().filter(|record| filter.admits(record));
                let expected: Vec<TaskId> = admitted.map(|record| record.id).collect();
                ensure!(
                    found == expected,
                    "{filter:?} lists {found:?}, not {expected:?}"
                );
                // A page is not filled with what the filter leaves out.
                let page = ids(&other.list(&filter, None, 1).await?);
                ensure!(
                    page[..] == expected[..expected.len().min(1)],
                    "{filter:?}: {page:?}"
                );
            }
        }
    }
    Ok(())
}

async fn list_leaves_out_what_has_expired(space: Space) -> Outcome {
    let (one, other) = (&space.one, &space.other);
    let kept = one.start(steady(), task("t")).await?;
    one.complete(&kept, "1").await?;
    let record = one.start(steady(), space.fleeting("t")).await?;
    let retention = space.term();
    one.complete(&record, "1").await?;
    let mut patience = space.patience("the retention was over");
    let listed = loop {
        let listed = ids(&other.list(&everything(), None, MANY).await?);
        if !listed.contains(&record.id) {
            break listed;
        }
        patience.pause().await?;
    };
    retention.ensure_over("the task was gone")?;
    ensure_eq!(listed, [kept.id]);
    Ok(())
}

async fn list_leaves_out_arguments_and_results(Space { one, other, .. }: Space) -> Outcome {
    one.retry(&one.start(steady(), task("t")).await?, LONG)
        .await?;
    one.start(steady(), task("u")).await?;
    let ended = one.start(steady(), task("u")).await?;
    let mut end = completed(&ended, "[1]");
    end.history = Some("[]".into());
    ensure_eq!(one.finish(ended.id, ended.epoch, end).await?, Ok(()));
    let listed = other.list(&everything(), None, MANY).await?;
    ensure_eq!(listed.len(), 3);
    for record in &listed {
        ensure!(record.arguments.is_empty(), "arguments are listed");
        ensure_eq!(record.history, None);
    }
    let ended = listed.iter().find(|record| record.id == ended.id);
    ensure_eq!(ended.map(|record| record.status), Some(Status::Completed));
    ensure_eq!(ended.and_then(result), Some(""));
    Ok(())
}
