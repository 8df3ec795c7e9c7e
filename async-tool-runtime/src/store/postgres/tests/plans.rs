//! No statement looks at all tasks: the server itself says how it executes
//! them, those inside of the functions included, beside a million tasks.

use std::time::{Duration, Instant};

use super::*;
use crate::progress::ProgressState;
use crate::store::model::{fingerprint, lease, task};
use crate::store::*;

const FILL: &str = "
    INSERT INTO tasks (seq, ns, id, format, status, keys, epoch, revision, report, attempt,
        max_attempts, owner, created_at, started_at, finished_at, expires_at, deadline, retention,
        tool, scope, concurrency, dedupe, outcome, notice, notice_due, origin, history)
      SELECT g, 1, md5(g::text)::uuid, CASE WHEN g % 4 = 0 THEN 3 ELSE 1 END, status, (g % 10 = 0)::int, 1, 2, 0, 1, 2,
          CASE WHEN status = 1 THEN md5((g % 20)::text)::uuid END,
          1700000000000 + g * 10, 1700000000000, CASE WHEN status > 2 THEN 1700000000000 END,
          CASE WHEN status > 2 THEN 4000000000000 + g END, 4000000000000 + g, 60000,
          't' || g % 7, CASE WHEN g % 3 = 0 THEN '' ELSE '=p' || g % 50 END,
          CASE WHEN status < 2 AND g % 7 = 0 THEN '{2:k}'::text[] ELSE '{}' END,
          CASE WHEN g % 10 = 0 THEN decode(md5(g::text), 'hex') END,
          CASE WHEN status = 4 THEN '{\"code\":\"odd\",\"message\":\"\",\"retryable\":false}'
            WHEN status = 5 THEN '' END,
          CASE WHEN g % 4 = 0 THEN (status > 2)::int END,
          CASE WHEN status > 2 AND g % 100 = 0 THEN 1700000000000 + g / 100 % 2 * 2000000000000 END,
          CASE WHEN g % 5 = 0 THEN '{}' END, CASE WHEN g % 5 = 0 THEN '[]' END
        FROM (SELECT g, CASE WHEN g > 980000 THEN (g % 10 = 0)::int WHEN g % 20 = 0 THEN 4
            WHEN g % 33 = 0 THEN 5 ELSE 3 END AS status FROM generate_series(1, 1000000) g) g;
    INSERT INTO arguments SELECT seq, '{}' FROM tasks WHERE status < 2;
    INSERT INTO results SELECT seq, 1, '1' FROM tasks WHERE status = 3 AND seq % 5 = 0;
    INSERT INTO keys SELECT 1, decode(md5(g::text), 'hex'), g, '' FROM generate_series(10, 1000000, 10) g;
    INSERT INTO steps (task, digest, name, result)
      SELECT g, '', '', '1' FROM generate_series(880000, 979999) g;
    INSERT INTO log SELECT g, 1, 1, 'line' FROM generate_series(880000, 979999) g;
    INSERT INTO sessions SELECT DISTINCT 1, owner, 1, 3600000 FROM tasks WHERE owner IS NOT NULL;
    INSERT INTO slots SELECT 1, 'k', n, 980000 + n, 0 FROM generate_series(1, 2) n;
    INSERT INTO slots SELECT 1, 'k' || n, 1, NULL, 4000000000000 FROM generate_series(1, 20000) n;
    INSERT INTO counters (ns, records) VALUES (1, 1000000);
    SELECT setval('task_seq', 1000000);
    ANALYZE";

/// Tables that grow with what is kept.
const LARGE: [&str; 7] = [
    "tasks",
    "arguments",
    "results",
    "keys",
    "steps",
    "log",
    "slots",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_scans_a_table() {
    let settings = [
        "fsync=off",
        "full_page_writes=off",
        "wal_level=minimal",
        "max_wal_senders=0",
        "max_wal_size=8GB",
        "maintenance_work_mem=256MB",
        "autovacuum=off",
    ];
    let Some(server) = Postgres::start(&settings) else {
        return;
    };
    let first = connect(&server, "s").await;
    first.open("big").await.expect("it opens");
    drop(first);
    fill(&Admin::connect(&server).await).await;

    let store = PostgresStore::builder(server.url())
        .schema("s")
        .max_records(2_000_000);
    let store = store.connect().await.expect("it connects");
    let store = store.open("big").await.expect("it opens");
    let started = Instant::now();
    use_all(&*store).await;
    lists(&*store).await;
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        started.elapsed()
    );

    let log = std::fs::read_to_string(server.directory().join("log")).expect("it logs");
    let plans: Vec<&str> = log.split("Query Text: ").skip(1).collect();
    assert!(plans.len() > 300, "{} plans", plans.len());
    for plan in plans {
        for table in LARGE {
            let scan = format!("Seq Scan on {table} ");
            assert!(!plan.contains(&scan), "{plan}");
        }
        // In lists for everybody, completed tasks are taken to be no rare ones.
        if plan.contains("(status = 3)") && !plan.contains("tasks_ended") {
            continue;
        }
        // An index that is read for what does not matter is as bad.
        for line in plan.lines() {
            let Some((_, removed)) = line.split_once("Rows Removed by Filter: ") else {
                continue;
            };
            let removed: u64 = removed.trim().parse().expect("a number");
            assert!(removed < 5000, "{plan}");
        }
    }
}

/// A million tasks, most of which have ended; from then on the server logs what
/// it does.
async fn fill(admin: &Admin) {
    admin.run("SET search_path TO s").await;
    let indexes = "FROM pg_indexes WHERE schemaname = 's' AND tablename = 'tasks' \
                   AND indexname <> 'tasks_pkey'";
    let definitions = admin
        .text(&format!("SELECT string_agg(indexdef, '; ') {indexes}"))
        .await;
    let names = admin
        .text(&format!("SELECT string_agg(indexname, ', ') {indexes}"))
        .await;
    admin.run(&format!("DROP INDEX {names}")).await;
    admin.run(FILL).await;
    admin.run(&definitions).await;
    admin.run("ANALYZE tasks").await;
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_nested_statements = on",
        "auto_explain.log_analyze = on",
        "auto_explain.log_timing = off",
    ] {
        admin
            .run(&format!("ALTER DATABASE postgres SET {setting}"))
            .await;
    }
}

async fn use_all(store: &dyn Store) {
    let mut wide = Admission::new(100_000, 100_000);
    wide.principal_queue = Some(100_000);
    let lease = lease();
    for round in 0..3 {
        let mut new = task("t1");
        new.principal = Some(Principal::new("p1"));
        new.key = Some(TaskKey::new(format!("key {round}"), fingerprint(1)));
        new.dedupe = Some(fingerprint(round));
        new.max_attempts = 3;
        for id in [new.id, TaskId::random()] {
            let again = NewTask { id, ..new.clone() };
            store.create(again, wide).await.expect("it works");
        }
        let again = NewTask {
            key: Some(TaskKey::new(format!("another {round}"), fingerprint(1))),
            ..new.clone()
        };
        store.create(again, wide).await.expect("it works");
        let idle = task("t2");
        let claiming = wide.claimed_by(lease);
        store.create(idle, claiming).await.expect("it works");

        let wants: Vec<Want> = (0..7)
            .map(|tool| Want::new(format!("t{tool}").into(), 2))
            .collect();
        let claimed = store.claim(lease, &wants, 10).await.expect("it works");
        assert_eq!(claimed.len(), 10);
        let reports = claimed.iter().map(|record| {
            let progress = ProgressState::default();
            let mut report = Report::new(record.id, record.epoch, 1, progress, record.revision + 1);
            report.log = vec![LogLine::new(1, Timestamp(1), "line")];
            report
        });
        let beat = store.beat(lease, reports.collect()).await;
        assert!(beat.expect("it works").owned.len() >= 10);
        for (record, number) in claimed.iter().zip(0..) {
            let (id, epoch) = (record.id, record.epoch);
            let step = StepRecord::new("s", "1");
            let recorded = store.record_step(id, epoch, step).await;
            assert_eq!(recorded.expect("it works"), Ok(()));
            assert_eq!(store.steps(id).await.expect("it works").len(), 1);
            ask_and_answer(store, record).await;
            let ended = match number % 4 {
                0 => {
                    let release = Release::Retry(Retry::new(Duration::from_secs(9), "", 0));
                    store.release(id, epoch, release).await
                }
                1 => store.release(id, epoch, Release::NotStarted).await,
                2 => {
                    let put = store.put_result(id, epoch, "1".into()).await;
                    assert_eq!(put.expect("it works"), Ok(()));
                    store.finish(id, epoch, End::ahead(0)).await
                }
                _ => {
                    let end = End::new(Outcome::Completed("1".into()), 0);
                    store.finish(id, epoch, end).await
                }
            };
            assert_eq!(ended.expect("it works"), Ok(()));
            store.request_cancel(id, "".into()).await.expect("it works");
            assert!(store.get(id).await.expect("it works").is_some());
            assert_eq!(store.log(id, 9).await.expect("it works").len(), 1);
        }
        let mut brief = task("t3");
        brief.retention = Duration::ZERO;
        store.create(brief.clone(), wide).await.expect("it works");
        let cancelled = store.request_cancel(brief.id, "".into()).await;
        assert_eq!(cancelled.expect("it works"), Some(CancelAck::Ended));
        tell(store).await;
        let mut late = task("t3");
        late.max_wait = Duration::ZERO;
        store.create(late.clone(), wide).await.expect("it works");
        let reaped = store.reap(100).await.expect("it works");
        assert_eq!(
            (reaped.purged, reaped.expired),
            (vec![brief.id], vec![late.id])
        );
    }
}

async fn ask_and_answer(store: &dyn Store, record: &TaskRecord) {
    let question = |key: &str| Question::new(key, "", "true", record.epoch);
    for keys in [&["a", "b"][..], &["b", "a"], &["b", "a"]] {
        let questions = keys.iter().map(|key| question(key)).collect();
        let asked = store.ask(record.id, record.epoch, questions, 0).await;
        assert_eq!(asked.expect("it works"), Ok(()));
    }
    for (key, expected) in [
        ("c", Answered::NotAsked),
        ("a", Answered::Recorded),
        ("a", Answered::Before("1".into())),
        ("b", Answered::Recorded),
    ] {
        let answered = store.answer(record.id, key, "1".into()).await;
        assert!(answered.expect("it works") == Some(expected), "{key}");
    }
}

async fn tell(store: &dyn Store) {
    let claimed = store.claim_notices(Duration::from_secs(9), 10).await;
    let claimed = claimed.expect("it works");
    assert_eq!(claimed.len(), 10);
    for (record, number) in claimed.iter().zip(0..) {
        let mut told = Told::of(record, "{}").expect("it is due");
        if number % 2 == 0 {
            told = told.again(Duration::from_secs(9));
        }
        assert!(store.settle_notice(told).await.expect("it works"));
        let purged = store.purge(record.id).await.expect("it works");
        let expected = match number % 2 {
            0 => Purged::InUse,
            _ => Purged::Gone,
        };
        assert_eq!(purged, Some(expected));
    }
    let stats = store.stats().await.expect("it works");
    assert!(stats.records > 900_000 && stats.queued() > 1000);
}

async fn lists(store: &dyn Store) {
    let owners = [
        Owner::Anybody,
        Owner::Nobody,
        Owner::Principal(Principal::new("p1")),
        Owner::Principal(Principal::new("a stranger")),
    ];
    for owner in owners {
        for tool in [None, Some(Arc::from("t1"))] {
            for status in [
                None,
                Some(Status::Queued),
                Some(Status::Working),
                Some(Status::InputRequired),
                Some(Status::Completed),
                Some(Status::Failed),
                Some(Status::Cancelled),
            ] {
                let mut filter = Filter::of(owner.clone());
                filter.tool.clone_from(&tool);
                filter.status = status;
                let page = store.list(&filter, None, 20).await.expect("it works");
                if let Some(last) = page.last() {
                    let after = Some(Cursor::of(last));
                    store.list(&filter, after, 20).await.expect("it works");
                }
            }
        }
    }
}
