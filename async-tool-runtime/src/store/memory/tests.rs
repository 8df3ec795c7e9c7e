//! What the memory store has beyond the contract, and exact moments on a paused
//! clock. The contract itself is the conformance suite's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::time::advance;

use super::*;
use crate::engine::Clock;
use crate::store::*;

const LEASE: Duration = Duration::from_secs(15);

async fn open() -> Arc<dyn Store> {
    let all = MemoryStore::with_clock(Clock::tokio()).max_records(3);
    all.open("test").await.expect("memory opens")
}

fn task() -> NewTask {
    NewTask::new(
        TaskId::random(),
        "t",
        "{}",
        Duration::from_secs(100),
        Duration::from_secs(60),
    )
}

fn lease() -> Lease {
    Lease::new(SessionId::random(), LEASE)
}

async fn start(store: &dyn Store, lease: Lease) -> TaskRecord {
    let admission = Admission::new(9, 9).claimed_by(lease);
    match store.create(task(), admission).await {
        Ok(Created::New(record)) => record,
        other => panic!("{other:?}"),
    }
}

async fn finish(store: &dyn Store, record: &TaskRecord) -> Result<(), Refused> {
    let end = End::new(Outcome::Completed("1".into()), record.revision);
    let finished = store.finish(record.id, record.epoch, end).await;
    finished.expect("memory works")
}

#[tokio::test(start_paused = true)]
async fn the_number_of_records_is_limited_until_some_are_purged() {
    let store = open().await;
    for _ in 0..3 {
        let record = start(&*store, lease()).await;
        finish(&*store, &record).await.expect("ours");
    }
    let refused = store.create(task(), Admission::new(9, 9)).await;
    assert!(
        matches!(refused, Ok(Created::Full(Limit::Records(3)))),
        "{refused:?}"
    );
    advance(Duration::from_secs(60)).await;
    assert_eq!(store.reap(1).await.expect("works").purged.len(), 1);
    start(&*store, lease()).await;
}

#[tokio::test(start_paused = true)]
async fn invariant_5_a_dead_session_is_fenced_and_its_tasks_are_ended() {
    let store = open().await;
    let (dead, alive) = (lease(), lease());
    let first = start(&*store, dead).await;
    let second = start(&*store, alive).await;
    advance(Duration::from_secs(10)).await;
    store.beat(alive, Vec::new()).await.expect("works");
    advance(Duration::from_millis(4999)).await;
    let reaped = store.reap(10).await.expect("works");
    assert_eq!(reaped.interrupted, []);
    assert_eq!(reaped.next, Some(Duration::from_millis(1)));
    advance(Duration::from_millis(1)).await;
    let reaped = store.reap(10).await.expect("works");
    assert_eq!(reaped.interrupted, [first.id]);
    assert_eq!(reaped.next, Some(Duration::from_secs(10)));
    assert_eq!(finish(&*store, &first).await, Err(Refused::Terminal));
    assert_eq!(finish(&*store, &second).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn deadlines_and_retention_end_at_their_moment() {
    let store = open().await;
    let created = store.create(task(), Admission::new(9, 9)).await;
    let Ok(Created::New(record)) = created else {
        panic!("{created:?}")
    };
    let reaped = store.reap(10).await.expect("works");
    assert_eq!(reaped.next, Some(Duration::from_secs(100)));
    advance(Duration::from_secs(100)).await;
    let reaped = store.reap(10).await.expect("works");
    assert_eq!(reaped.expired, [record.id]);
    assert_eq!(reaped.next, Some(Duration::from_secs(60)));
    advance(Duration::from_secs(60)).await;
    let reaped = store.reap(10).await.expect("works");
    assert_eq!((reaped.purged, reaped.next), (vec![record.id], None));
}

#[tokio::test(start_paused = true)]
async fn nobody_hears_of_a_task_that_is_claimed_as_it_is_created() {
    let store = open().await;
    let mut changes = store.changes();
    let record = start(&*store, lease()).await;
    assert_eq!(changes.next().now_or_never(), None);
    finish(&*store, &record).await.expect("ours");
    assert_eq!(changes.next().await, Some(Change::Task(record.id)));
    assert_eq!(changes.next().now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_lags_behind_is_told_to_resync() {
    let store = open().await;
    let lease = lease();
    let record = start(&*store, lease).await;
    let mut changes = store.changes();
    for number in 1..=5000 {
        let report = Report::new(
            record.id,
            record.epoch,
            number,
            ProgressState::default(),
            record.revision + number,
        );
        store.beat(lease, vec![report]).await.expect("works");
    }
    assert_eq!(changes.next().await, Some(Change::Resync));
}

/// What is due already waits for somebody to tell it, and keeps nobody awake.
#[tokio::test(start_paused = true)]
async fn only_moments_to_come_are_waited_for() {
    let store = open().await;
    let (first, second) = (start(&*store, lease()).await, start(&*store, lease()).await);
    let retry = Retry::new(Duration::from_secs(5), "again", 0);
    let released = store.release(first.id, first.epoch, Release::Retry(retry));
    assert_eq!(released.await.expect("memory works"), Ok(()));
    finish(&*store, &second).await.expect("ours");
    let mut new = task();
    new.notify = true;
    let told = match store.create(new, Admission::new(9, 9)).await {
        Ok(Created::New(record)) => record.id,
        other => panic!("{other:?}"),
    };
    let next = async || store.reap(9).await.expect("memory works").next;
    assert_eq!(next().await, Some(Duration::from_secs(5)));
    store
        .request_cancel(told, "".into())
        .await
        .expect("memory works");
    let reaped = store.reap(9).await.expect("memory works");
    assert!(reaped.notices);
    assert_eq!(reaped.next, Some(Duration::from_secs(5)));
    let pause = Duration::from_secs(2);
    let claimed = store.claim_notices(pause, 9).await.expect("memory works");
    assert_eq!(claimed.len(), 1);
    assert_eq!(next().await, Some(pause));
    advance(Duration::from_secs(5)).await;
    // The first retention, and no back-off any more.
    assert_eq!(next().await, Some(Duration::from_secs(55)));
}
