//! Records that a newer version wrote.

use rusqlite::Connection;
use tokio::time::advance;

use super::*;
use crate::store::{Filter, Owner};

#[tokio::test(start_paused = true)]
async fn records_of_a_newer_version_are_left_alone() {
    let place = Place::new();
    let store = place.store().await;
    let newer = [
        queued(&*store, task("a")).await,
        queued(&*store, task("b")).await,
    ];
    claim(&*store, lease(), "b", 1).await;
    let connection = Connection::open(place.path()).expect("it opens");
    connection
        .execute_batch("UPDATE tasks SET format = 2, status = 7 * status")
        .expect("it is ours");
    let ours = queued(&*store, task("a")).await;

    let error = store.get(newer[0]).await.expect_err("it is too new");
    assert!(error.to_string().contains("newer version"), "{error}");
    let error = store.request_cancel(newer[0], "".into()).await;
    assert!(error.is_err());
    let claimed = claim(&*store, lease(), "a", 5).await;
    assert_eq!(
        claimed.iter().map(|record| record.id).collect::<Vec<_>>(),
        [ours]
    );
    let filter = Filter::of(Owner::Anybody);
    let listed = store.list(&filter, None, 10).await.expect("it works");
    assert_eq!(listed.len(), 1);

    // Neither deadline nor lease nor retention is ours to see to.
    advance(Duration::from_secs(14)).await;
    let reaped = store.reap(10).await.expect("it works");
    assert!(!reaped.ready);
    advance(Duration::from_secs(1000)).await;
    let reaped = store.reap(10).await.expect("it works");
    assert_eq!(
        (reaped.interrupted, reaped.expired),
        (vec![ours], Vec::new())
    );
    let reaped = store.reap(10).await.expect("it works");
    assert!(
        reaped
            .next
            .is_none_or(|next| next >= Duration::from_secs(1))
    );
}
