//! Notices and purging, beyond the contract.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::error::Fault;
use super::operations::end;
use super::*;
use crate::store::{
    ConcurrencyLimit, End, Epoch, LogLine, Outcome, Principal, Purged, Question, Report, Status,
    StepRecord, TaskKey, Timestamp, Told,
};

fn notified(tool: &str) -> NewTask {
    let mut new = task(tool);
    new.notify = true;
    new
}

fn completed() -> End {
    End::new(Outcome::Completed("1".into()), 0)
}

async fn claim_notices(store: &dyn Store, limit: usize) -> Vec<TaskRecord> {
    let claimed = store.claim_notices(Duration::from_secs(60), limit).await;
    claimed.expect("it works")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_processes_claim_a_notice_once() {
    let place = Place::new();
    let mut stores = Vec::new();
    for _ in 0..2 {
        let all = SqliteStore::open(place.path()).await.expect("it opens");
        stores.push(all.open("test").await.expect("it opens"));
    }
    let mut ids = Vec::new();
    for _ in 0..100 {
        let id = queued(&*stores[0], notified("t")).await;
        let cancelled = stores[0].request_cancel(id, "".into()).await;
        cancelled.expect("it works");
        ids.push(id);
    }
    let claiming = stores.into_iter().map(|store| {
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = claim_notices(&*store, 7).await;
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.iter().map(|record| record.id));
            }
        })
    });
    let mut claimed: Vec<TaskId> = futures_util::future::join_all(claiming)
        .await
        .into_iter()
        .flat_map(|mine| mine.expect("no panic"))
        .collect();
    claimed.sort();
    ids.sort();
    assert_eq!(claimed, ids);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_rolled_back_tells_nobody() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    let id = queued(&*store, notified("t")).await;
    claim(&*store, lease(), "t", 1).await;
    let now = all.handle.clock.now();
    let failed = all.handle.write(true, move |work| {
        let finished = end::finish(work, 1, id, Epoch(1), &completed(), now)?;
        assert_eq!(finished, Ok(()));
        Err::<(), _>(Fault::other("too bad"))
    });
    assert!(failed.await.is_err());
    assert!(claim_notices(&*store, 9).await.is_empty());
    let record = store.get(id).await.expect("it works").expect("it is there");
    assert_eq!(record.status, Status::Working);
    assert_eq!(record.notice, Some(Default::default()));

    let finished = store.finish(id, Epoch(1), completed()).await;
    assert_eq!(finished.expect("it works"), Ok(()));
    let claimed = claim_notices(&*store, 9).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].status, Status::Completed);
}

/// The files as they are at that moment are what a process finds after the
/// other one was killed.
#[tokio::test(start_paused = true)]
async fn an_end_and_its_notice_survive_the_process() {
    let place = Place::new();
    let store = place.store().await;
    let id = queued(&*store, notified("t")).await;
    claim(&*store, lease(), "t", 1).await;
    let finished = store.finish(id, Epoch(1), completed()).await;
    assert_eq!(finished.expect("it works"), Ok(()));

    let after = Place::new();
    for suffix in ["", "-wal"] {
        let name = format!("tasks.db{suffix}");
        let (from, to) = (&place.directory, &after.directory);
        std::fs::copy(from.path().join(&name), to.path().join(&name)).expect("it is there");
    }
    let store = after.store().await;
    let claimed = claim_notices(&*store, 9).await;
    assert_eq!(
        claimed.iter().map(|record| record.id).collect::<Vec<_>>(),
        [id]
    );
    assert_eq!(claimed[0].outcome, Some(Outcome::Completed("1".into())));
}

/// All rows of all tables.
fn dump(place: &Place) -> BTreeMap<String, Vec<Vec<Value>>> {
    let connection = Connection::open(place.path()).expect("it opens");
    let mut names = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'changes'")
        .expect("it is right");
    let names = names.query_map([], |row| row.get::<_, String>(0));
    let names = names.expect("it works").map(|name| name.expect("a name"));
    names
        .map(|name| {
            let mut statement = connection
                .prepare(&format!("SELECT * FROM {name}"))
                .expect("it is there");
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| {
                (0..columns).map(|column| row.get(column)).collect()
            });
            let rows = rows.expect("it works").map(|row| row.expect("a row"));
            (name, rows.collect())
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_purged_task_leaves_nothing() {
    let place = Place::new();
    let store = place.store().await;
    // So that the tool has a queue.
    let first = queued(&*store, task("t")).await;
    store
        .request_cancel(first, "".into())
        .await
        .expect("it works");
    let before = dump(&place);

    let mut new = notified("t");
    new.key = Some(TaskKey::new("key", fingerprint(1)));
    new.dedupe = Some(fingerprint(1));
    new.principal = Some(Principal::new("somebody"));
    new.concurrency = [ConcurrencyLimit::new("k", 1)].into();
    new.origin = Some(Arc::default());
    let id = queued(&*store, new).await;
    let lease = lease();
    claim(&*store, lease, "t", 1).await;
    let epoch = Epoch(1);
    let mut report = Report::new(id, epoch, 1, Default::default(), 3);
    report.log = vec![LogLine::new(1, Timestamp(1), "line")];
    report.history = Some("[1]".into());
    store.beat(lease, vec![report]).await.expect("it works");
    let recorded = store.record_step(id, epoch, StepRecord::new("s", "1"));
    assert_eq!(recorded.await.expect("it works"), Ok(()));
    let question = Question::new("q", "", "true", epoch);
    let asked = store.ask(id, epoch, vec![question], 0).await;
    assert_eq!(asked.expect("it works"), Ok(()));
    let purged = async || store.purge(id).await.expect("it works");
    assert_eq!(purged().await, Some(Purged::NotEnded));
    let finished = store.finish(id, epoch, completed()).await;
    assert_eq!(finished.expect("it works"), Ok(()));
    assert_eq!(purged().await, Some(Purged::InUse));
    let claimed = claim_notices(&*store, 1).await;
    let told = Told::of(&claimed[0], "{}").expect("it is due");
    assert!(store.settle_notice(told).await.expect("it works"));
    assert_ne!(dump(&place), before);

    assert_eq!(purged().await, Some(Purged::Gone));
    assert_eq!(dump(&place), before);
    assert_eq!(purged().await, None);
}
