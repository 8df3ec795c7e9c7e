//! Many at once: limits hold, nothing is lost, and nothing waits for ever.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::*;
use crate::store::model::{fingerprint, task};
use crate::store::*;

const KEYS: [(&str, u32); 3] = [("a", 1), ("b", 2), ("c", 3)];

/// Who holds which key, as far as workers know: less than the store does.
#[derive(Default)]
struct Held(Mutex<HashMap<Arc<str>, u32>>);

impl Held {
    fn take(&self, record: &TaskRecord) {
        let mut held = self.0.lock().expect("no panic");
        for ConcurrencyLimit { key, limit } in record.concurrency.iter() {
            let holders = held.entry(Arc::clone(key)).or_default();
            *holders += 1;
            assert!(*holders <= *limit, "{holders} hold the key {key}");
        }
    }

    fn give(&self, record: &TaskRecord) {
        let mut held = self.0.lock().expect("no panic");
        for ConcurrencyLimit { key, .. } in record.concurrency.iter() {
            *held.entry(Arc::clone(key)).or_default() -= 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_and_nobody_starves() {
    const TASKS: usize = 120;
    // Its log is of this test alone.
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let schema = scratch();
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let store = connect(&server, &schema).await;
        replicas.push(store.open("test").await.expect("it opens"));
    }
    let held = Arc::new(Held::default());
    let left = Arc::new(Mutex::new(TASKS));
    let mut working = JoinSet::new();
    for number in 0..6 {
        let store = Arc::clone(&replicas[number % 2]);
        let (held, left) = (Arc::clone(&held), Arc::clone(&left));
        working.spawn(work(store, held, left, number % 3 == 0));
    }
    for number in 0..TASKS {
        let mut new = task(["t", "u"][number % 2]);
        new.concurrency = KEYS
            .iter()
            .filter(|_| fastrand::bool())
            .map(|(key, limit)| ConcurrencyLimit::new(*key, *limit))
            .collect();
        let store = &replicas[number % 2];
        store
            .create(new, Admission::new(999, 999))
            .await
            .expect("it works");
    }
    let all = async {
        while working
            .join_next()
            .await
            .transpose()
            .expect("no panic")
            .is_some()
        {}
    };
    tokio::time::timeout(Duration::from_secs(30), all)
        .await
        .expect("all tasks end");

    let admin = Admin::connect(&server).await;
    admin.check_integrity(&schema).await;
    let log = std::fs::read_to_string(server.directory().join("log")).expect("it logs");
    assert!(!log.contains("deadlock detected"), "{log}");
    let slots = format!("SELECT count(*) FROM {schema}.slots");
    assert!(admin.number(&slots).await >= 6);
    admin
        .run(&format!("UPDATE {schema}.slots SET freed_at = 0"))
        .await;
    replicas[0].reap(100).await.expect("it works");
    assert_eq!(
        admin.number(&slots).await,
        0,
        "slots of keys that nobody uses"
    );
}

/// Works until all tasks have ended. Some workers put their results ahead.
async fn work(store: Arc<dyn Store>, held: Arc<Held>, left: Arc<Mutex<usize>>, ahead: bool) {
    let lease = Lease::new(SessionId::random(), Duration::from_secs(60));
    let wants = ["t", "u"].map(|tool| Want::new(tool.into(), 3));
    while *left.lock().expect("no panic") > 0 {
        let claimed = store.claim(lease, &wants, 4).await.expect("it works");
        for record in &claimed {
            held.take(record);
        }
        let beat = store.beat(lease, Vec::new()).await.expect("it works");
        assert_eq!(beat.owned.len(), claimed.len());
        if claimed.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for record in claimed {
            held.give(&record);
            let end = if ahead {
                let put = store.put_result(record.id, record.epoch, "1".into()).await;
                assert_eq!(put.expect("it works"), Ok(()));
                End::ahead(0)
            } else {
                End::new(Outcome::Completed("1".into()), 0)
            };
            let ended = store.finish(record.id, record.epoch, end).await;
            assert_eq!(ended.expect("it works"), Ok(()));
            *left.lock().expect("no panic") -= 1;
        }
    }
}

/// Calls of one session that come all at once: a task that it owns is never
/// without the session's row.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_session_keeps_its_row() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let store = connect(server, &schema).await;
    let store = store.open("test").await.expect("it opens");
    let admin = Admin::connect(server).await;
    let lease = Lease::new(SessionId::random(), Duration::from_secs(60));
    let started = Instant::now();
    for round in 0..30 {
        let mut calls = JoinSet::new();
        for number in 0..6 {
            let store = Arc::clone(&store);
            calls.spawn(async move {
                let mut new = task("t");
                // Some of them are the same.
                let key = format!("{round} {}", number / 2);
                new.key = Some(TaskKey::new(key, fingerprint(1)));
                new.dedupe = Some(fingerprint(round * 2 + number / 4));
                let admission = Admission::new(99, 99).claimed_by(lease);
                let created = store.create(new, admission).await.expect("it works");
                let Created::New(record) = created else {
                    return;
                };
                store.beat(lease, Vec::new()).await.expect("it works");
                if fastrand::bool() && record.owner.is_some() {
                    let end = End::new(Outcome::Completed("1".into()), 0);
                    let ended = store.finish(record.id, record.epoch, end).await;
                    assert_eq!(ended.expect("it works"), Ok(()));
                }
            });
        }
        while let Some(call) = calls.join_next().await {
            call.expect("no panic");
        }
        admin.check_integrity(&schema).await;
        let owned = store.beat(lease, Vec::new()).await.expect("it works").owned;
        for owned in owned {
            let end = End::new(Outcome::Completed("1".into()), 0);
            let ended = store.finish(owned.id, owned.epoch, end).await;
            assert_eq!(ended.expect("it works"), Ok(()));
        }
    }
    admin.check_sessions(&schema).await;
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "they wait for each other"
    );
}

/// Calls that would pass a limit together do not.
#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_queue_are_exact() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let store = PostgresStore::builder(server.url()).schema(&schema);
    let store = store.max_records(30).connect().await.expect("it connects");
    let store = store.open("test").await.expect("it opens");
    let create = async |admission: Admission| {
        let mut calls = JoinSet::new();
        for _ in 0..40 {
            let store = Arc::clone(&store);
            calls.spawn(async move { store.create(task("t"), admission).await.expect("it works") });
        }
        calls.join_all().await
    };
    let created = create(Admission::new(20, 1000)).await;
    let new = created.iter().filter(|one| matches!(one, Created::New(_)));
    assert_eq!(new.count(), 20);
    create(Admission::new(1000, 1000)).await;
    let full = store.create(task("t"), Admission::new(1000, 1000)).await;
    assert!(matches!(full, Ok(Created::Full(Limit::Records(30)))));
    // What is purged makes room.
    let filter = Filter::of(Owner::Anybody);
    let all = store.list(&filter, None, 1000).await.expect("it works");
    assert!((30..50).contains(&all.len()), "{} records", all.len());
    for record in &all {
        store
            .request_cancel(record.id, "".into())
            .await
            .expect("it works");
    }
    let admin = Admin::connect(server).await;
    admin
        .run(&format!("UPDATE {schema}.tasks SET expires_at = 1"))
        .await;
    let reaped = store.reap(1000).await.expect("it works");
    assert_eq!(reaped.purged.len(), all.len());
    let created = store.create(task("t"), Admission::new(9, 9)).await;
    assert!(matches!(created, Ok(Created::New(_))));
    admin.check_integrity(&schema).await;
}
