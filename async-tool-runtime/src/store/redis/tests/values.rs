//! Values that are large, long or odd.

use super::integrity::check_integrity;
use super::*;
use crate::store::{
    Change, ConcurrencyLimit, Cursor, End, Filter, Outcome, Owner, Principal, Status, TaskKey,
    encoding,
};

#[tokio::test(flavor = "multi_thread")]
async fn large_values_come_back_as_they_were() {
    let Some(place) = Place::new() else {
        return;
    };
    let (store, other) = (place.store().await, place.store().await);
    for length in [1000, 70_000, 3_000_000] {
        let text: Arc<str> = format!("\"{}\"", "ü".repeat(length / 2)).into();
        let mut new = task("t");
        new.arguments = Arc::clone(&text);
        new.key = Some(TaskKey::new(length.to_string(), fingerprint(1)));
        queued(store.as_ref(), new.clone()).await;
        for ahead in [false, true] {
            let record = claim(other.as_ref(), lease(), "t", 1).await.remove(0);
            let (id, epoch) = (record.id, record.epoch);
            assert!(record.arguments == text, "arguments of {length}");
            let end = if ahead {
                let put = store.put_result(id, epoch, Arc::clone(&text)).await;
                assert_eq!(put.expect("it works"), Ok(()));
                let seen = other.get(id).await.expect("it works").expect("there");
                assert_eq!(seen.outcome, None);
                End::ahead(1)
            } else {
                // Refused: nothing of it is left.
                let result = Outcome::Completed(Arc::clone(&text));
                let wrong = store.finish(id, epoch.next(), End::new(result.clone(), 1));
                assert!(wrong.await.expect("it works").is_err());
                End::new(result, 1)
            };
            let finished = store.finish(id, epoch, end).await.expect("it works");
            assert_eq!(finished, Ok(()));
            let read = other.get(id).await.expect("it works").expect("there");
            let result = Some(Outcome::Completed(Arc::clone(&text)));
            assert!(read.outcome == result, "result of {length}");
            if !ahead {
                let mut again = new.clone();
                again.id = TaskId::random();
                let found = store.create(again.clone(), roomy()).await;
                let Created::Existing(record) = found.expect("it works") else {
                    panic!("it is another task");
                };
                assert!(record.outcome == result, "result of {length}");
                again.key = None;
                queued(store.as_ref(), again).await;
            }
        }
    }
    check_integrity(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_are_names() {
    const ODD: [&str; 7] = ["{", "}", "{}", "a}:{b", "|12|", "ü\0\r\n*?[", " "];
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.open().await;
    let mut all = Vec::new();
    for name in ODD {
        let there = store.open(name).await.expect("it opens");
        let mut new = task(name);
        new.principal = Some(Principal::new(name));
        new.key = Some(TaskKey::new(name, fingerprint(1)));
        new.dedupe = Some(fingerprint(1));
        new.concurrency = [ConcurrencyLimit::new(name, 1)].into();
        new.retention = Duration::from_millis(1);
        let id = queued(there.as_ref(), new.clone()).await;
        let mut filter = Filter::of(Owner::Principal(Principal::new(name)));
        filter.tool = Some(name.into());
        let listed = there.list(&filter, None, 10).await.expect("it works");
        assert_eq!(listed.len(), 1, "{name:?}");
        assert_eq!(listed[0].id, id);
        assert_eq!(
            (&*listed[0].tool, &listed[0].principal),
            (name, &new.principal)
        );
        new.id = TaskId::random();
        let found = there.create(new, roomy()).await.expect("it works");
        assert!(matches!(found, Created::Existing(record) if record.id == id));
        all.push((there, id, name));
    }
    for (there, id, name) in all {
        let record = claim(there.as_ref(), lease(), name, 9).await.remove(0);
        assert_eq!(record.id, id);
        let result = Outcome::Completed(name.into());
        let finished = there.finish(id, record.epoch, End::new(result, 1)).await;
        assert_eq!(finished.expect("it works"), Ok(()));
        tokio::time::sleep(Duration::from_millis(5)).await;
        let reaped = there.reap(9).await.expect("it works");
        assert_eq!(reaped.purged, [id]);
    }
    assert_eq!(place.keys().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_without_end_are_long() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let mut new = task("t");
    new.max_wait = Duration::MAX;
    new.retention = Duration::MAX;
    new.max_attempts = u32::MAX;
    let created = store.create(new, roomy()).await.expect("it works");
    let Created::New(created) = created else {
        panic!("{created:?}");
    };
    let read = store.get(created.id).await.expect("it works");
    let read = read.expect("it is there");
    assert_eq!(
        (read.deadline, read.retention),
        (created.deadline, created.retention)
    );
    assert!(read.retention > Duration::from_secs(60 * 60 * 24 * 365 * 10_000));
    let lease = Lease::new(SessionId::random(), Duration::MAX);
    let record = claim(store.as_ref(), lease, "t", 1).await.remove(0);
    let end = End::new(Outcome::Completed("1".into()), u64::MAX);
    let finished = store.finish(record.id, record.epoch, end).await;
    assert_eq!(finished.expect("it works"), Ok(()));
    assert!(store.reap(9).await.expect("it works").purged.is_empty());
    assert!(store.get(record.id).await.expect("it works").is_some());
    check_integrity(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_are_read_in_pages() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let calls = (0..1200_u32).map(|number| {
        let mut new = task("t");
        // Rare ones, among many that are not asked for.
        if number % 400 == 399 {
            new.principal = Some(Principal::new("ann"));
        }
        let store = Arc::clone(&store);
        async move { queued(store.as_ref(), new).await }
    });
    futures_util::future::join_all(calls).await;
    let completed = claim(store.as_ref(), lease(), "t", 2).await;
    for record in &completed {
        let end = End::new(Outcome::Completed("1".into()), 1);
        let finished = store.finish(record.id, record.epoch, end).await;
        assert_eq!(finished.expect("it works"), Ok(()));
    }
    for (owner, status, expected) in [
        (Owner::Anybody, None, 1200),
        (Owner::Principal(Principal::new("ann")), None, 3),
        (Owner::Anybody, Some(Status::Completed), 2),
        (Owner::Anybody, Some(Status::Queued), 1198),
        (Owner::Anybody, Some(Status::Failed), 0),
    ] {
        let mut filter = Filter::of(owner);
        filter.status = status;
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = store.list(&filter, after, 170).await.expect("it works");
            let Some(last) = page.last() else {
                break;
            };
            after = Some(Cursor::of(last));
            seen.extend(page.iter().map(Cursor::of));
        }
        assert_eq!(seen.len(), expected, "{filter:?}");
        assert!(seen.is_sorted_by(|one, next| one > next), "{filter:?}");
    }
}

/// The scripts write changes by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_those_of_the_encoding() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let client = ::redis::Client::open(place.url.as_str()).expect("a URL");
    let mut heard = client.get_async_pubsub().await.expect("it connects");
    let channel = place.key("changes");
    heard.subscribe(channel).await.expect("it works");
    let id = queued(store.as_ref(), task("t")).await;
    claim(store.as_ref(), lease(), "t", 1).await;
    store.request_cancel(id, "".into()).await.expect("it works");
    let mut messages = heard.into_on_message();
    for expected in [
        vec![Change::Queued],
        vec![Change::Task(id)],
        vec![Change::Cancel(id), Change::Task(id)],
    ] {
        let message = futures_util::StreamExt::next(&mut messages).await;
        let told = message.expect("there is one").get_payload_bytes().to_vec();
        let bytes: Vec<[u8; encoding::CHANGE]> =
            expected.into_iter().map(encoding::change).collect();
        assert_eq!(told, bytes.concat());
    }
}

/// A queue of tasks that wait for one key does not keep others from theirs, and
/// is one lane.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_that_waits_is_passed() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let limited = || {
        let mut new = task("t");
        new.concurrency = [ConcurrencyLimit::new("k", 1), ConcurrencyLimit::new("l", 9)].into();
        new
    };
    queued(store.as_ref(), limited()).await;
    assert_eq!(claim(store.as_ref(), lease(), "t", 9).await.len(), 1);
    let calls = (0..3000).map(|_| {
        let (store, new) = (Arc::clone(&store), limited());
        async move { queued(store.as_ref(), new).await }
    });
    futures_util::future::join_all(calls).await;
    let free = queued(store.as_ref(), task("t")).await;
    let claimed = claim(store.as_ref(), lease(), "t", 9).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id, free);
    assert!(!store.reap(9).await.expect("it works").ready);
    let lanes: u64 = place.raw().await.ask(&["ZCARD", &place.key("qa")]).await;
    assert_eq!(lanes, 1);
    check_integrity(&place).await;
}
