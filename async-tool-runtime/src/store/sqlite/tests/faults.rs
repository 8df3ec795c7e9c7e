//! What goes wrong, is said, and is over when its cause is.

use std::future::Future;
use std::sync::mpsc;
use std::time::Instant;

use futures_util::future::join_all;
use rusqlite::Connection;

use super::error::{Done, Fault};
use super::work::Work;
use super::*;
use crate::store::{Change, End, Filter, Limit, Outcome, Owner, TaskKey};

/// Runs something on the writer's connection, in a transaction.
async fn write<T: Send + 'static>(
    all: &SqliteStore,
    run: impl FnMut(&mut Work<'_>) -> Done<T> + Send + 'static,
) -> Result<T, StoreError> {
    all.handle.write(false, run).await
}

/// As [`write()`], without one.
async fn configure(all: &SqliteStore, sql: &'static str) {
    let look = move |work: &mut Work<'_>| {
        work.connection.execute_batch(sql)?;
        Ok(Some(()))
    };
    let done = all.handle.write_unless(false, look, |_| Ok(())).await;
    done.expect("it is configured");
}

fn insert(name: &'static str) -> impl FnMut(&mut Work<'_>) -> Done<()> + Send + 'static {
    move |work| {
        let sql = "INSERT INTO namespaces (name) VALUES (?1)";
        work.connection.execute(sql, [name])?;
        Ok(())
    }
}

fn names(place: &Place) -> Vec<String> {
    let connection = Connection::open(place.path()).expect("it opens");
    let mut statement = connection
        .prepare("SELECT name FROM namespaces ORDER BY ns")
        .expect("it is ours");
    let names = statement.query_map([], |row| row.get(0));
    let names = names.expect("it works").map(|name| name.expect("a name"));
    names.collect()
}

/// Keeps the writer from its work until it is released, so that what is
/// written meanwhile makes one transaction.
async fn hold(all: &SqliteStore) -> impl FnOnce() {
    let (release, released) = mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let (mut began, all) = (Some(began), all.clone());
    tokio::spawn(async move {
        let hold = move |_: &mut Work<'_>| {
            if let Some(began) = began.take() {
                began.send(()).expect("the test waits");
            }
            let _ = released.recv();
            Ok(())
        };
        write(&all, hold).await
    });
    begun.await.expect("it holds");
    move || drop(release)
}

#[tokio::test]
async fn a_call_that_fails_harms_no_other_of_its_transaction() {
    let place = Place::new();
    let all = place.open().await;
    let release = hold(&all).await;
    let calls = [
        write(&all, insert("one")),
        write(&all, insert("two")),
        write(&all, insert("two")),
        write(&all, insert("three")),
    ];
    let panicking = write::<()>(&all, |work| {
        insert("never")(work)?;
        panic!("on purpose")
    });
    let failing = write::<()>(&all, |work| {
        insert("never")(work)?;
        Err(Fault::other("on purpose"))
    });
    let calls = async { tokio::join!(join_all(calls), panicking, failing) };
    let (outcomes, panicked, failed) = tokio::join!(calls, async {
        tokio::task::yield_now().await;
        release();
    })
    .0;
    let works: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(works, [true, true, false, true]);
    let said = |outcome: Result<(), StoreError>| outcome.expect_err("it failed").to_string();
    assert!(said(panicked).contains("panicked"));
    assert!(said(failed).contains("on purpose"));
    assert_eq!(names(&place), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_commit_that_fails_is_an_error_for_all_of_its_callers() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    configure(
        &all,
        "CREATE TABLE parents (id INTEGER PRIMARY KEY); \
         CREATE TABLE children (parent REFERENCES parents DEFERRABLE INITIALLY DEFERRED); \
         PRAGMA foreign_keys = ON;",
    )
    .await;
    let mut changes = store.changes();
    let release = hold(&all).await;
    let id = TaskId::random();
    let new = NewTask { id, ..task("t") };
    let orphan = write(&all, |work| {
        // Nobody notices before the end.
        let sql = "INSERT INTO children VALUES (1)";
        work.connection.execute_batch(sql)?;
        Ok(())
    });
    let (created, orphan, ()) = tokio::join!(store.create(new.clone(), roomy()), orphan, async {
        tokio::task::yield_now().await;
        release();
    });
    assert!(created.is_err());
    assert!(orphan.is_err());
    assert_eq!(store.get(id).await.expect("it works"), None);

    // The next ones are not affected.
    assert_eq!(queued(&*store, new).await, id);
    use futures_util::{FutureExt, StreamExt};
    assert_eq!(changes.next().await, Some(Change::Queued));
    assert_eq!(
        changes.next().now_or_never(),
        None,
        "the failed one told nothing"
    );
}

#[tokio::test]
async fn a_call_that_is_dropped_is_done_or_not_done() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    let release = hold(&all).await;
    for _ in 0..20 {
        let mut create = store.create(task("t"), roomy());
        assert!(futures_util::poll!(&mut create).is_pending());
    }
    release();
    let id = queued(&*store, task("t")).await;
    let filter = Filter::of(Owner::Anybody);
    let all_of_them = store.list(&filter, None, 100).await.expect("it works");
    assert_eq!(all_of_them.len(), 21, "they had been handed over");
    for record in all_of_them {
        assert!(store.get(record.id).await.expect("it works").is_some());
    }
    assert!(store.get(id).await.expect("it works").is_some());
    check_integrity(&place);
}

#[tokio::test]
async fn a_full_disk_is_an_error_until_there_is_room() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    let id = queued(&*store, task("t")).await;
    configure(&all, "PRAGMA max_page_count = 1").await;
    let large = || NewTask {
        arguments: "x".repeat(200_000).into(),
        ..task("t")
    };
    let full = store.create(large(), roomy()).await;
    let error = full.expect_err("there is no room").to_string();
    assert!(error.contains("the disk is full"), "{error}");
    assert!(store.get(id).await.expect("it works").is_some());
    configure(&all, "PRAGMA max_page_count = 1000000").await;
    queued(&*store, large()).await;
    check_integrity(&place);
}

#[tokio::test]
async fn a_locked_file_is_an_error_until_it_is_free() {
    let place = Place::new();
    let store = place.store().await;
    let id = queued(&*store, task("t")).await;
    let other = Connection::open(place.path()).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("it is free");
    let began = Instant::now();
    let creates = (0..20).map(|_| store.create(task("t"), roomy()));
    for locked in join_all(creates).await {
        let error = locked.expect_err("it is locked").to_string();
        assert!(error.contains("locked by another process"), "{error}");
    }
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    assert!(store.get(id).await.expect("reads go on").is_some());
    other.execute_batch("COMMIT").expect("it is ours");
    queued(&*store, task("t")).await;
}

#[tokio::test]
async fn a_file_that_others_lock_now_and_then_is_no_error() {
    let place = Place::new();
    let store = place.store().await;
    let other = Connection::open(place.path()).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("it is free");
    let (_, id) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            other.execute_batch("COMMIT").expect("it is ours");
        },
        queued(&*store, task("t"))
    );
    assert!(store.get(id).await.expect("it works").is_some());
}

#[tokio::test]
async fn a_damaged_page_is_an_error_for_those_who_meet_it() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    let damaged = queued(&*store, task("a")).await;
    let sound = queued(&*store, task("b")).await;
    for tool in ["a", "b"] {
        let claimed = claim(&*store, lease(), tool, 1).await;
        let result = format!("\"{}\"", "r".repeat(20_000));
        let end = End::new(Outcome::Completed(result.into()), 1);
        let finished = store.finish(claimed[0].id, claimed[0].epoch, end).await;
        assert_eq!(finished.expect("it works"), Ok(()));
    }
    drop(store);
    all.close().await;

    let connection = Connection::open(place.path()).expect("it opens");
    // Where the result of the first one goes on.
    let page: u64 = connection
        .query_row(
            "SELECT min(pageno) FROM dbstat WHERE name = 'results' AND pagetype = 'overflow'",
            [],
            |row| row.get::<_, i64>(0),
        )
        .expect("there is one")
        .cast_unsigned();
    drop(connection);
    let mut bytes = std::fs::read(place.path()).expect("it is read");
    let at = usize::try_from((page - 1) * 4096).expect("small");
    bytes[at..at + 4096].fill(0xff);
    std::fs::write(place.path(), bytes).expect("it is written");

    let store = place.store().await;
    let error = store.get(damaged).await.expect_err("it is damaged");
    assert!(error.to_string().contains("damaged"), "{error}");
    assert!(store.get(sound).await.expect("it works").is_some());
    queued(&*store, task("c")).await;
    assert_eq!(claim(&*store, lease(), "c", 1).await.len(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_taken_away_is_an_error_until_it_is_back() {
    let place = Place::new();
    let store = place.store().await;
    let id = queued(&*store, task("t")).await;
    let (path, away) = (place.path(), place.directory.path().join("away"));
    std::fs::rename(&path, &away).expect("it is ours");
    let error = loop {
        if let Err(error) = store.create(task("t"), roomy()).await {
            break error.to_string();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(error.contains("deleted or replaced"), "{error}");
    assert!(store.get(id).await.is_err());
    std::fs::rename(&away, &path).expect("it is ours");
    while store.get(id).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    queued(&*store, task("t")).await;
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let nowhere = SqliteStore::open("/proc/nowhere/tasks.db").await;
    let error = nowhere.expect_err("it is no place").to_string();
    assert!(error.contains("could not create the directory"), "{error}");

    let place = Place::new();
    place.open().await.close().await;
    let read_only = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
    };
    read_only(&place.path(), 0o400);
    if std::fs::OpenOptions::new()
        .append(true)
        .open(place.path())
        .is_ok()
    {
        as_nobody("what_cannot_be_written_is_refused");
        return;
    }
    let refused = SqliteStore::open(place.path()).await;
    let error = refused.expect_err("it is read-only").to_string();
    assert!(error.contains("cannot be written"), "{error}");
    read_only(&place.path(), 0o600);
    read_only(place.directory.path(), 0o500);
    let refused = SqliteStore::open(place.path()).await;
    read_only(place.directory.path(), 0o700);
    let error = refused.expect_err("its directory is read-only").to_string();
    assert!(error.contains("cannot be written"), "{error}");
}

/// Runs a test of this file once more, as a user whom permissions bind: they
/// do not bind root.
#[cfg(unix)]
fn as_nobody(test: &str) {
    use std::io::Write;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    const NOBODY: u32 = 65534;
    const AGAIN: &str = "ASYNC_TOOL_TESTED_AS_NOBODY";

    let module = module_path!().split_once("::").expect("a crate").1;
    let again = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["--exact", &format!("{module}::{test}")])
            .uid(NOBODY)
            .gid(NOBODY)
            .env(AGAIN, "1")
            .stdin(Stdio::null())
            .output()
    });
    let skipped = match again {
        _ if std::env::var_os(AGAIN).is_some() => "nobody may write all files".to_owned(),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}");
            assert!(said.contains("1 passed"), "{said}");
            return;
        }
        Err(error) => format!("no other user may run it: {error}"),
    };
    // Not by a macro, whose output is seen of tests that fail.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}, as root: {skipped}");
}

/// Makes two calls of one transaction, in this order.
async fn together<A, B>(
    all: &SqliteStore,
    first: impl Future<Output = Result<A, StoreError>>,
    second: impl Future<Output = Result<B, StoreError>>,
) -> (A, B) {
    let release = hold(all).await;
    let (first, second, ()) = tokio::join!(first, second, async {
        tokio::task::yield_now().await;
        release();
    });
    (first.expect("it works"), second.expect("it works"))
}

/// A session whose lease has run out, and the task that it owns.
async fn overdue(store: &dyn Store) -> (Lease, TaskId) {
    let (lease, id) = (lease(), queued(store, task("t")).await);
    assert_eq!(claim(store, lease, "t", 1).await.len(), 1);
    tokio::time::advance(lease.duration + Duration::from_secs(5)).await;
    (lease, id)
}

#[tokio::test(start_paused = true)]
async fn what_a_transaction_has_renewed_lives_on_in_it() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");

    let (lease, id) = overdue(&*store).await;
    let (beat, reaped) = together(&all, store.beat(lease, Vec::new()), store.reap(10)).await;
    assert_eq!(beat.owned.len(), 1);
    assert_eq!((reaped.requeued, reaped.interrupted), (vec![], vec![]));
    assert_eq!(reaped.next, Some(lease.duration));
    let working = store.get(id).await.expect("it works").expect("it is there");
    assert_eq!(
        (working.epoch, working.owner),
        (beat.owned[0].epoch, Some(lease.session))
    );

    let (lease, _) = overdue(&*store).await;
    queued(&*store, task("u")).await;
    let wants = [Want::new("u".into(), 1)];
    let (claimed, reaped) = together(&all, store.claim(lease, &wants, 1), store.reap(10)).await;
    assert_eq!(claimed.len(), 1);
    // The one of before is dead by now.
    assert_eq!(reaped.interrupted, [id]);
    let beat = store.beat(lease, Vec::new()).await.expect("it works");
    assert_eq!(beat.owned.len(), 2);

    tokio::time::advance(Duration::from_secs(20)).await;
    let admission = roomy().claimed_by(lease);
    let (created, reaped) =
        together(&all, store.create(task("v"), admission), store.reap(10)).await;
    assert!(matches!(created, Created::New(record) if record.owner == Some(lease.session)));
    assert_eq!((reaped.requeued, reaped.interrupted), (vec![], vec![]));
    let beat = store.beat(lease, Vec::new()).await.expect("it works");
    assert_eq!(beat.owned.len(), 3);
    check_integrity(&place);
}

#[tokio::test(start_paused = true)]
async fn what_a_transaction_took_over_is_not_renewed_in_it() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    let (lease, id) = overdue(&*store).await;
    let (reaped, beat) = together(&all, store.reap(10), store.beat(lease, Vec::new())).await;
    assert_eq!(reaped.interrupted, [id]);
    assert_eq!(beat.owned, []);
    check_integrity(&place);

    // What the limit left to the session is its own again.
    let lease = Lease::new(SessionId::random(), Duration::from_secs(15));
    for tool in ["a", "b"] {
        queued(&*store, task(tool)).await;
        claim(&*store, lease, tool, 1).await;
    }
    tokio::time::advance(Duration::from_secs(20)).await;
    let (reaped, beat) = together(&all, store.reap(1), store.beat(lease, Vec::new())).await;
    assert_eq!((reaped.interrupted.len(), beat.owned.len()), (1, 1));
    assert_ne!(reaped.interrupted[0], beat.owned[0].id);
    let reaped = store.reap(10).await.expect("it works");
    assert_eq!(reaped.interrupted, []);
    check_integrity(&place);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_begins_in_a_transaction_is_waited_for() {
    let place = Place::new();
    let all = place.open().await;
    let store = all.open("test").await.expect("it opens");
    let lease = lease();
    let create = store.create(task("t"), roomy().claimed_by(lease));
    let (created, reaped) = together(&all, create, store.reap(10)).await;
    assert!(matches!(created, Created::New(record) if record.owner == Some(lease.session)));
    assert_eq!(reaped.next, Some(lease.duration));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_records_is_limited_until_some_are_purged() {
    let place = Place::new();
    let all = place.open().await.max_records(3);
    let store = all.open("test").await.expect("it opens");
    let other = all.open("other").await.expect("it opens");
    let new = |key: &str| NewTask {
        key: Some(TaskKey::new(key, fingerprint(1))),
        ..task("t")
    };
    // Together, so that they count each other within one transaction.
    let release = hold(&all).await;
    let creates = ["a", "b", "c", "d"].map(|key| store.create(new(key), roomy()));
    let (created, ()) = tokio::join!(join_all(creates), async {
        tokio::task::yield_now().await;
        release();
    });
    let full = |created: &Created| matches!(created, Created::Full(Limit::Records(3)));
    let created: Vec<Created> = created.into_iter().map(|new| new.expect("works")).collect();
    assert_eq!(
        created.iter().map(full).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    queued(&*other, task("t")).await;

    // Ended tasks count, and known ones are found.
    let lease = lease();
    for record in claim(&*store, lease, "t", 3).await {
        let end = End::new(Outcome::Completed("1".into()), record.revision);
        let finished = store.finish(record.id, record.epoch, end).await;
        assert_eq!(finished.expect("it works"), Ok(()));
    }
    let known = store.create(new("a"), roomy()).await.expect("it works");
    assert!(matches!(known, Created::Existing(_)), "{known:?}");
    let idle = roomy().claimed_by(lease);
    assert!(full(
        &store.create(task("t"), idle).await.expect("it works")
    ));

    // Another process counts the same ones.
    let there = place.open().await.max_records(3);
    let there = there.open("test").await.expect("it opens");
    assert!(full(
        &there.create(task("t"), roomy()).await.expect("it works")
    ));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(there.reap(2).await.expect("it works").purged.len(), 2);
    for _ in 0..2 {
        queued(&*store, task("t")).await;
    }
    assert!(full(
        &store.create(task("t"), roomy()).await.expect("it works")
    ));
    check_integrity(&place);
}
