//! Several processes on one file. Each open file is one: the stores share
//! nothing but the file.

use std::collections::HashSet;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{advance, timeout};

use super::*;
use crate::store::conformance::Conformance;
use crate::store::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept_by_two_processes() {
    let place = Place::new();
    let open = async || SqliteStore::open(place.path()).await.expect("it opens");
    let (here, there) = (open().await, open().await);
    let suite = Conformance::new(here).reopen(there);
    suite.run().await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept_by_one_process() {
    let place = Place::new();
    let store = SqliteStore::open(place.path()).await.expect("it opens");
    Conformance::new(store).run().await.assert();
}

#[tokio::test]
async fn tasks_survive_their_process() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    let id = queued(&*store, task("t")).await;
    drop(store);
    all.close().await;

    let store = place.store().await;
    let claimed = claim(&*store, lease(), "t", 1).await;
    assert_eq!(claimed[0].id, id);
    assert_eq!(&*claimed[0].arguments, r#"{"a":1}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_processes_claim_each_task_once() {
    let place = Place::new();
    let stores = [place.store().await, place.store().await];
    for _ in 0..40 {
        queued(&*stores[0], task("t")).await;
    }
    let workers = (0..16).map(|worker| {
        let store = Arc::clone(&stores[worker % 2]);
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = claim(&*store, lease(), "t", 1).await;
                if claimed.is_empty() {
                    break mine;
                }
                mine.extend(claimed.iter().map(|record| record.id));
            }
        })
    });
    let all: Vec<TaskId> = join_all(workers)
        .await
        .into_iter()
        .flat_map(|mine| mine.expect("no panic"))
        .collect();
    let different: HashSet<_> = all.iter().copied().collect();
    assert_eq!((all.len(), different.len()), (40, 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_processes_make_one_task_of_a_key() {
    let place = Place::new();
    let stores = [place.store().await, place.store().await];
    let keyed = || NewTask {
        key: Some(TaskKey::new("k", fingerprint(1))),
        ..task("t")
    };
    let creates = (0..64).map(|at| {
        let (store, new) = (Arc::clone(&stores[at % 2]), keyed());
        tokio::spawn(async move { store.create(new, roomy()).await })
    });
    let mut new = 0;
    let mut ids = HashSet::new();
    for created in join_all(creates).await {
        match created.expect("no panic").expect("it works") {
            Created::New(record) => {
                new += 1;
                ids.insert(record.id);
            }
            Created::Existing(record) => {
                ids.insert(record.id);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
}

#[tokio::test]
async fn changes_of_another_process_are_told() {
    let place = Place::new();
    let (here, there) = (place.store().await, place.store().await);
    let mut changes = here.changes();
    let mut next = async || {
        timeout(Duration::from_secs(10), changes.next())
            .await
            .expect("within ten seconds")
    };
    let id = queued(&*there, task("t")).await;
    assert_eq!(next().await, Some(Change::Queued));
    // Somebody here pays attention from now on.
    here.get(id).await.expect("it works");
    let claimed = claim(&*there, lease(), "t", 1).await;
    assert_eq!(next().await, Some(Change::Task(id)));
    here.request_cancel(id, "".into()).await.expect("it works");
    assert_eq!(next().await, Some(Change::Cancel(id)));
    assert_eq!(next().await, Some(Change::Task(id)));
    let end = End::new(Outcome::Completed("1".into()), 9);
    let finished = there.finish(id, claimed[0].epoch, end).await;
    assert_eq!(finished.expect("it works"), Ok(()));
    assert_eq!(next().await, Some(Change::Task(id)));
    assert_eq!(next().now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn a_session_of_another_process_is_dead_after_a_lease_unseen() {
    let place = Place::new();
    let (here, there) = (place.store().await, place.store().await);
    let id = queued(&*there, task("t")).await;
    let lease = lease();
    claim(&*there, lease, "t", 1).await;
    // However old it looks: this process has only just seen it.
    advance(Duration::from_secs(20)).await;
    let first = here.reap(10).await.expect("it works");
    assert_eq!(first.interrupted, []);
    assert!(first.next.is_some_and(|next| next <= lease.duration));

    advance(Duration::from_secs(10)).await;
    there.beat(lease, Vec::new()).await.expect("it works");
    advance(Duration::from_secs(10)).await;
    assert_eq!(here.reap(10).await.expect("it works").interrupted, []);
    advance(Duration::from_secs(14)).await;
    assert_eq!(here.reap(10).await.expect("it works").interrupted, []);
    advance(Duration::from_secs(2)).await;
    assert_eq!(here.reap(10).await.expect("it works").interrupted, [id]);
    let beat = there.beat(lease, Vec::new()).await.expect("it works");
    assert_eq!(beat.owned, []);
}

/// Keeps this process from following the others, without a lock, until it is
/// released.
async fn distract(all: &SqliteStore) -> impl FnOnce() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let (mut began, all) = (Some(began), all.clone());
    tokio::spawn(async move {
        let look = move |_: &mut work::Work<'_>| {
            if let Some(began) = began.take() {
                began.send(()).expect("the test waits");
            }
            let _ = released.recv();
            Ok(Some(()))
        };
        all.handle.write_unless(false, look, |_| Ok(())).await
    });
    begun.await.expect("it is distracted");
    move || drop(release)
}

#[tokio::test]
async fn who_has_missed_too_much_is_told_so() {
    let place = Place::new();
    let (all, there) = (place.open().await, place.store().await);
    let here = all.open("test").await.expect("it opens");
    let id = queued(&*there, task("t")).await;
    let lease = lease();
    let epoch = claim(&*there, lease, "t", 1).await[0].epoch;
    let report = async |revision| {
        let progress = ProgressState::default();
        let report = Report::new(id, epoch, revision, progress, revision);
        there.beat(lease, vec![report]).await.expect("it works");
    };
    for (news, told) in [(3, Change::Task(id)), (1500, Change::Resync)] {
        let mut changes = here.changes();
        // What was before is told, for somebody pays attention.
        here.get(id).await.expect("it works");
        while timeout(Duration::from_millis(100), changes.next())
            .await
            .is_ok()
        {}
        let release = distract(&all).await;
        for number in 0..news {
            report(10 * news + number).await;
        }
        release();
        let next = timeout(Duration::from_secs(10), changes.next()).await;
        assert_eq!(next.expect("in time"), Some(told));
    }
}
