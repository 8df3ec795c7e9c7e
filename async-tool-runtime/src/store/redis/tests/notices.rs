//! Notices: those of expired tasks, and who gets them where many ask.

use std::collections::HashSet;

use super::integrity::check_integrity;
use super::*;
use crate::store::{End, Outcome, Told};

const PAUSE: Duration = Duration::from_secs(60);

/// A task of which somebody wants to be told.
pub(super) fn notified(tool: &str) -> NewTask {
    let mut new = task(tool);
    new.notify = true;
    new
}

/// Ends some queued tasks, all with a notice.
async fn ended(store: &dyn Store, new: impl Fn() -> NewTask, count: usize) -> HashSet<TaskId> {
    let mut ended = HashSet::new();
    for _ in 0..count {
        let id = queued(store, new()).await;
        store.request_cancel(id, "".into()).await.expect("it works");
        ended.insert(id);
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_has_expired_is_not_told() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let mut raw = place.raw().await;
    let fleeting = || {
        let mut new = notified("t");
        new.retention = Duration::from_millis(20);
        new
    };
    for reaped_first in [true, false] {
        ended(store.as_ref(), fleeting, 5).await;
        loop {
            let tasks: Vec<String> = raw.ask(&["KEYS", &place.key("t:*")]).await;
            if tasks.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let left: usize = raw.ask(&["ZCARD", &place.key("no")]).await;
        assert_eq!(left, 5);
        if reaped_first {
            let reaped = store.reap(9).await.expect("it works");
            assert!(!reaped.notices, "{reaped:?}");
            assert_eq!(reaped.purged.len(), 5);
        }
        let claimed = store.claim_notices(PAUSE, 9).await.expect("it works");
        assert_eq!(claimed.len(), 0);
        store.reap(9).await.expect("it works");
        assert_eq!(place.keys().await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_claims_share_the_notices() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let ended = ended(store.as_ref(), || notified("t"), 60).await;
    let mut claims = Vec::new();
    for _ in 0..4 {
        let store = place.store().await;
        claims.push(tokio::spawn(async move {
            let mut told = Vec::new();
            loop {
                let claimed = store.claim_notices(PAUSE, 3).await.expect("it works");
                if claimed.is_empty() {
                    return told;
                }
                for record in claimed {
                    let settled = Told::of(&record, "{}").expect("it is due");
                    let settled = store.settle_notice(settled).await;
                    assert!(settled.expect("it works"), "somebody else has it");
                    told.push(record.id);
                }
            }
        }));
    }
    let mut told = Vec::new();
    for claim in claims {
        told.append(&mut claim.await.expect("it ends"));
    }
    assert_eq!(told.len(), ended.len());
    assert_eq!(told.into_iter().collect::<HashSet<_>>(), ended);
    check_integrity(&place).await;
}

/// Ends are told also where memory is full, as they are written.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_lets_notices_be_told() {
    let Some(server) = servers::Redis::start(&[]) else {
        return;
    };
    let place = Place::on(&server);
    let store = place.store().await;
    let id = queued(store.as_ref(), notified("t")).await;
    let record = claim(store.as_ref(), lease(), "t", 1).await.remove(0);
    let () = place
        .raw()
        .await
        .ask(&["CONFIG", "SET", "maxmemory", "1"])
        .await;
    let refused = store.create(task("t"), roomy()).await.err();
    let refused = refused.expect("there is no memory").to_string();
    assert!(refused.contains("memory is full"), "{refused}");

    let end = End::new(Outcome::Completed("1".into()), 1);
    let finished = store.finish(id, record.epoch, end).await;
    assert_eq!(finished.expect("it works"), Ok(()));
    let claimed = store.claim_notices(PAUSE, 9).await.expect("it works");
    let told = Told::of(&claimed[0], "{}").expect("it is due");
    assert!(store.settle_notice(told).await.expect("it works"));
    let purged = store.purge(id).await.expect("it works");
    assert_eq!(purged, Some(crate::store::Purged::Gone));
    assert_eq!(place.keys().await, [""; 0]);
}
