//! Notices and purging, beyond the contract.

use std::time::Duration;

use tokio::task::JoinSet;

use super::*;
use crate::store::model::{fingerprint, lease, task};
use crate::store::{
    Admission, ConcurrencyLimit, Created, End, Epoch, Limit, LogLine, NewTask, Notice, Outcome,
    Principal, Purged, Question, Report, Status, StepRecord, TaskId, TaskKey, TaskRecord,
    Timestamp, Told, Want,
};

const WIDE: fn() -> Admission = || Admission::new(1000, 1000);

fn notified() -> NewTask {
    let mut new = task("t");
    new.notify = true;
    new
}

fn completed() -> End {
    let mut end = End::new(Outcome::Completed("1".into()), 0);
    end.history = Some("[1]".into());
    end
}

/// Creates a task that a session works on.
async fn start(store: &dyn Store, new: NewTask) -> TaskRecord {
    store.create(new, WIDE()).await.expect("it works");
    let wants = [Want::new("t".into(), 1)];
    let claimed = store.claim(lease(), &wants, 1).await;
    claimed.expect("it works").remove(0)
}

async fn claim_notices(store: &dyn Store, limit: usize) -> Vec<TaskRecord> {
    let claimed = store.claim_notices(Duration::from_secs(60), limit).await;
    claimed.expect("it works")
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_replicas_claim_a_notice_once() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let mut stores = Vec::new();
    for _ in 0..2 {
        let all = connect(server, &schema).await;
        stores.push(all.open("test").await.expect("it opens"));
    }
    let mut ids = Vec::new();
    for _ in 0..100 {
        let new = notified();
        ids.push(new.id);
        stores[0].create(new, WIDE()).await.expect("it works");
    }
    for id in &ids {
        let cancelled = stores[0].request_cancel(*id, "".into()).await;
        cancelled.expect("it works");
    }
    let mut claiming = JoinSet::new();
    for number in 0..6 {
        let store = Arc::clone(&stores[number % 2]);
        claiming.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = claim_notices(&*store, 7).await;
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.iter().map(|record| record.id));
            }
        });
    }
    let mut claimed: Vec<TaskId> = claiming.join_all().await.into_iter().flatten().collect();
    // What one of them was about to claim, the others passed over; it may have
    // been the last that looked.
    claimed.extend(claim_notices(&*stores[0], 100).await.iter().map(|it| it.id));
    claimed.sort();
    ids.sort();
    assert_eq!(claimed, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_fails_tells_nobody() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let all = connect(server, &schema).await;
    let store = all.open("test").await.expect("it opens");
    let started = start(&*store, notified()).await;
    let admin = Admin::connect(server).await;
    admin
        .run(&format!(
            "CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE 'too bad'; END $$; \
             CREATE TRIGGER fail BEFORE DELETE ON {schema}.arguments \
             FOR EACH ROW EXECUTE FUNCTION {schema}.fail()"
        ))
        .await;
    let (id, epoch) = (started.id, started.epoch);
    let failed = store.finish(id, epoch, completed()).await;
    assert!(failed.is_err(), "{failed:?}");
    assert!(claim_notices(&*store, 9).await.is_empty());
    let record = store.get(id).await.expect("it works").expect("it is there");
    assert_eq!(record.status, Status::Working);
    assert_eq!(
        (record.notice, record.history),
        (Some(Notice::default()), None)
    );

    admin
        .run(&format!("DROP TRIGGER fail ON {schema}.arguments"))
        .await;
    let finished = store.finish(id, epoch, completed()).await;
    assert_eq!(finished.expect("it works"), Ok(()));
    let claimed = claim_notices(&*store, 9).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].outcome, Some(Outcome::Completed("1".into())));
    assert_eq!(claimed[0].history.as_deref(), Some("[1]"));
    admin.check_integrity(&schema).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_and_its_notice_survive_a_crash_of_the_server() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let all = connect(&server, "s").await;
    let store = all.open("test").await.expect("it opens");
    let started = start(&*store, notified()).await;
    let finished = store.finish(started.id, started.epoch, completed()).await;
    assert_eq!(finished.expect("it works"), Ok(()));
    tokio::task::block_in_place(|| server.restart());

    let again = connect(&server, "s").await;
    let again = again.open("test").await.expect("it opens");
    let claimed = claim_notices(&*again, 9).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id, started.id);
}

/// All rows of all tables, but of free slots.
async fn dump(admin: &Admin, schema: &str) -> Vec<(String, String)> {
    let names = admin
        .text(&format!(
            "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables \
             WHERE schemaname = '{schema}' AND tablename <> 'slots'"
        ))
        .await;
    let mut tables = Vec::new();
    for name in names.split(' ') {
        let sql = format!(
            "SELECT coalesce(string_agg(x::text, '; ' ORDER BY x::text), '') FROM {schema}.{name} x"
        );
        tables.push((name.to_owned(), admin.text(&sql).await));
    }
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_task_leaves_nothing() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let schema = scratch();
    let all = connect(server, &schema).await;
    let store = all.open("test").await.expect("it opens");
    // So that there is a count.
    let first = task("t");
    store.create(first.clone(), WIDE()).await.expect("it works");
    let cancelled = store.request_cancel(first.id, "".into()).await;
    cancelled.expect("it works");
    let admin = Admin::connect(server).await;
    let before = dump(&admin, &schema).await;

    let mut new = notified();
    new.key = Some(TaskKey::new("key", fingerprint(1)));
    new.dedupe = Some(fingerprint(1));
    new.principal = Some(Principal::new("somebody"));
    new.concurrency = [ConcurrencyLimit::new("k", 1)].into();
    new.origin = Some(Arc::default());
    let lease = lease();
    store.create(new.clone(), WIDE()).await.expect("it works");
    let wants = [Want::new("t".into(), 1)];
    let claimed = store.claim(lease, &wants, 1).await.expect("it works");
    let (id, epoch) = (new.id, Epoch(1));
    assert_eq!(claimed[0].id, id);
    let mut report = Report::new(id, epoch, 1, Default::default(), 3);
    report.log = vec![LogLine::new(1, Timestamp(1), "line")];
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
    assert_ne!(dump(&admin, &schema).await, before);

    assert_eq!(purged().await, Some(Purged::Gone));
    assert_eq!(dump(&admin, &schema).await, before);
    assert_eq!(purged().await, None);
    admin.check_integrity(&schema).await;
    admin.check_sessions(&schema).await;
}

/// Calls that would pass a limit together do not.
#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_principal_are_exact() {
    let Some(server) = servers::postgres() else {
        return;
    };
    let all = connect(server, &scratch()).await;
    let store = all.open("test").await.expect("it opens");
    let mut calls = JoinSet::new();
    for number in 0..60 {
        let store = Arc::clone(&store);
        calls.spawn(async move {
            let mut new = task("t");
            let principal = ["one", "other", ""][number % 3];
            new.principal = (!principal.is_empty()).then(|| Principal::new(principal));
            let mut admission = WIDE();
            admission.principal_queue = Some(7);
            let created = store.create(new, admission).await.expect("it works");
            (principal, created)
        });
    }
    let mut queued = [0; 3];
    for (principal, created) in calls.join_all().await {
        let at = ["one", "other", ""].iter().position(|it| *it == principal);
        match created {
            Created::New(_) => queued[at.expect("one of them")] += 1,
            Created::Full(limit) => assert_eq!(limit, Limit::PrincipalQueue(7)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(queued, [7, 7, 20]);
}
