//! What has nothing to do writes nothing.

use rusqlite::Connection;

use super::*;
use crate::store::{End, Outcome};

#[tokio::test]
async fn an_idle_worker_takes_no_lock_and_writes_nothing() {
    let place = Place::new();
    let store = place.store().await;
    let lease = lease();
    // What has ended and what is being worked on is nothing to do.
    for tool in ["a", "b"] {
        queued(&*store, task(tool)).await;
    }
    let ended = &claim(&*store, lease, "a", 1).await[0];
    let end = End::new(Outcome::Completed("1".into()), 1);
    let finished = store.finish(ended.id, ended.epoch, end).await;
    assert_eq!(finished.expect("it works"), Ok(()));
    claim(&*store, lease, "b", 1).await;

    let other = Connection::open(place.path()).expect("it opens");
    let version = || -> i64 {
        other
            .query_row("PRAGMA data_version", [], |row| row.get(0))
            .expect("a number")
    };
    let before = version();
    other.execute_batch("BEGIN IMMEDIATE").expect("it is free");
    let idle = super::lease();
    assert_eq!(claim(&*store, idle, "a", 1).await, []);
    let beat = store.beat(idle, Vec::new()).await.expect("it works");
    assert_eq!(beat.owned, []);
    let reaped = store.reap(10).await.expect("it works");
    assert_eq!((reaped.purged, reaped.ready), (Vec::new(), false));
    assert!(reaped.next.is_some());
    other.execute_batch("COMMIT").expect("it is ours");
    assert_eq!(version(), before, "nobody else has committed");
}

#[tokio::test]
async fn a_session_is_kept_as_long_as_it_owns_something() {
    let place = Place::new();
    let store = place.store().await;
    let sessions = || -> i64 {
        let connection = Connection::open(place.path()).expect("it opens");
        connection
            .query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))
            .expect("a number")
    };
    queued(&*store, task("t")).await;
    assert_eq!(sessions(), 0);
    let claimed = claim(&*store, lease(), "t", 1).await;
    assert_eq!(sessions(), 1);
    let end = End::new(Outcome::Completed("1".into()), 1).lingering();
    let (id, epoch) = (claimed[0].id, claimed[0].epoch);
    let finished = store.finish(id, epoch, end).await;
    assert_eq!(finished.expect("it works"), Ok(()));
    assert_eq!(sessions(), 1, "its body goes on");
    let released = store
        .release(id, epoch, crate::store::Release::Stopped)
        .await;
    assert_eq!(released.expect("it works"), Ok(()));
    assert_eq!(sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_are_gone_are_forgotten() {
    let place = Place::new();
    let (all, there) = (place.open().await, place.store().await);
    let here = all.open("test").await.expect("it opens");
    for _ in 0..50 {
        queued(&*there, task("t")).await;
        let claimed = claim(&*there, lease(), "t", 1).await;
        assert_eq!(here.reap(10).await.expect("it works").interrupted, []);
        let end = End::new(Outcome::Completed("1".into()), 1);
        let finished = there.finish(claimed[0].id, claimed[0].epoch, end).await;
        assert_eq!(finished.expect("it works"), Ok(()));
    }
    here.reap(10).await.expect("it works");
    let known = all
        .handle
        .write(false, |work| Ok(work.sessions.len()))
        .await;
    assert_eq!(known.expect("it works"), 0);
}
