//! Records of another version of this crate.

use super::notices::notified;
use super::*;
use crate::store::{
    Answered, End, Epoch, Filter, Origin, Outcome, Owner, ProgressState, Question, Report, Status,
    TaskKey,
};

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_newer_version_are_refused_by_name_and_left_alone() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let mut raw = place.raw().await;
    let brief = Lease::new(SessionId::random(), Duration::from_millis(50));
    let mut new = task("t");
    new.key = Some(TaskKey::new("k", fingerprint(1)));
    new.max_wait = Duration::from_millis(1);
    let owned = queued(store.as_ref(), task("t")).await;
    claim(store.as_ref(), brief, "t", 1).await;
    let late = queued(store.as_ref(), new.clone()).await;
    for id in [owned, late] {
        let key = place.key(&format!("t:{id}"));
        let () = raw.ask(&["HSET", &key, "format", "99"]).await;
    }
    let known = queued(store.as_ref(), task("t")).await;

    new.id = TaskId::random();
    let errors = [
        store.get(late).await.err(),
        store.request_cancel(late, "".into()).await.err(),
        store.create(new, roomy()).await.err(),
        store.get(owned).await.err(),
    ];
    for error in errors {
        let error = error.expect("it is too new").to_string();
        assert!(
            error.contains("newer version") && error.contains("99"),
            "{error}"
        );
    }
    let all = Filter::of(Owner::Anybody);
    let listed = store.list(&all, None, 10).await.expect("it works");
    assert_eq!(listed.len(), 1);
    let beat = store.beat(brief, Vec::new()).await.expect("it works");
    assert_eq!(beat.owned, []);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let reaped = store.reap(10).await.expect("it works");
        let nothing = reaped.expired.is_empty() && reaped.interrupted.is_empty();
        assert!(nothing && reaped.ready, "{reaped:?}");
        // They do not keep anybody awake either.
        let next = reaped.next.expect("one has a deadline");
        assert!(next > Duration::from_millis(10), "{next:?}");
    }
    let claimed = claim(store.as_ref(), lease(), "t", 9).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id, known);
    let reaped = store.reap(10).await.expect("it works");
    assert!(!reaped.ready, "{reaped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_of_the_oldest_format_that_does_right_by_it() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let mut raw = place.raw().await;
    let silent = queued(store.as_ref(), task("t")).await;
    let asks = queued(store.as_ref(), task("t")).await;
    let told = queued(store.as_ref(), notified("t")).await;
    assert_eq!(claim(store.as_ref(), lease(), "t", 9).await.len(), 3);
    let question = Question::new("q", "sure?", "true", Epoch(1));
    let asked = store.ask(asks, Epoch(1), vec![question], 0).await;
    assert_eq!(asked.expect("it works"), Ok(()));
    let asked = store.ask(silent, Epoch(1), Vec::new(), 0).await;
    assert_eq!(asked.expect("it works"), Ok(()));
    let answered = store.answer(asks, "q", "1".into()).await;
    assert_eq!(answered.expect("it works"), Some(Answered::Recorded));
    for (id, expected) in [(silent, 1), (asks, 2), (told, TaskRecord::FORMAT)] {
        let key = place.key(&format!("t:{id}"));
        let format: u32 = raw.ask(&["HGET", &key, "format"]).await;
        assert_eq!(format, expected);
    }
}

/// A program of version 2, which tells nobody anything, on the same server.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_goes_on_with_all_but_what_is_to_be_told() {
    let Some(place) = Place::new() else {
        return;
    };
    let mut builder = place.builder();
    builder.options.format = 2;
    let old = builder.connect(&place.url).await.expect("it connects");
    let old = old.open("test").await.expect("it opens");
    let new = place.store().await;

    let brief = Lease::new(SessionId::random(), Duration::from_millis(50));
    let interrupted = queued(new.as_ref(), notified("t")).await;
    assert_eq!(claim(new.as_ref(), brief, "t", 1).await.len(), 1);
    let mut late = notified("t");
    late.max_wait = Duration::from_millis(1);
    let late = queued(new.as_ref(), late).await;
    let told = queued(new.as_ref(), notified("t")).await;
    let mut traced = task("t");
    let mut origin = Origin::new();
    origin.traceparent = Some("00-1-2-01".into());
    traced.origin = Some(origin.into());
    let traced = queued(new.as_ref(), traced).await;

    let own = lease();
    let claimed = claim(old.as_ref(), own, "t", 9).await;
    assert_eq!(claimed.len(), 1);
    let epoch = claimed[0].epoch;
    assert_eq!(claimed[0].id, traced);
    for refused in [
        old.get(told).await.err(),
        old.purge(told).await.err(),
        old.request_cancel(told, "".into()).await.err(),
    ] {
        let refused = refused.expect("it is too new").to_string();
        assert!(refused.contains("newer version"), "{refused}");
    }
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let reaped = old.reap(9).await.expect("it works");
        let nothing = reaped.expired.is_empty() && reaped.interrupted.is_empty();
        assert!(nothing && !reaped.ready, "{reaped:?}");
    }
    new.request_cancel(told, "".into()).await.expect("it works");
    let pause = Duration::from_secs(60);
    assert!(!old.reap(9).await.expect("it works").notices);
    let claimed = old.claim_notices(pause, 9).await.expect("it works");
    assert_eq!(claimed.len(), 0);

    // What it does not know of its own tasks, it leaves as it is.
    let mut report = Report::new(traced, epoch, 1, ProgressState::default(), 2);
    report.history = Some("[1]".into());
    new.beat(own, vec![report]).await.expect("it works");
    let end = End::new(Outcome::Completed("1".into()), 3);
    let finished = old.finish(traced, epoch, end).await.expect("it works");
    assert_eq!(finished, Ok(()));
    let ended = new.get(traced).await.expect("it works").expect("there");
    assert_eq!(ended.status, Status::Completed);
    assert_eq!(ended.history.as_deref(), Some("[1]"));
    assert!(
        ended
            .origin
            .is_some_and(|origin| origin.traceparent.is_some())
    );

    new.reap(9).await.expect("it works");
    tokio::time::sleep(Duration::from_millis(60)).await;
    new.reap(9).await.expect("it works");
    let claimed = new.claim_notices(pause, 9).await.expect("it works");
    let mut claimed: Vec<TaskId> = claimed.iter().map(|record| record.id).collect();
    let mut expected = vec![interrupted, late, told];
    claimed.sort();
    expected.sort();
    assert_eq!(claimed, expected);
}

/// Once the server has expired a task, an older version forgets it, and knows
/// nothing of notices.
#[tokio::test(flavor = "multi_thread")]
async fn what_tells_of_forgotten_tasks_is_removed() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let mut raw = place.raw().await;
    let index = place.key("no");
    for removed_by_a_claim in [true, false] {
        for _ in 0..3 {
            let forgotten = TaskId::random().to_string();
            let () = raw.ask(&["ZADD", &index, "1", &forgotten]).await;
        }
        if removed_by_a_claim {
            let pause = Duration::from_secs(1);
            let claimed = store.claim_notices(pause, 1).await.expect("it works");
            assert_eq!(claimed.len(), 0);
        } else {
            let reaped = store.reap(1).await.expect("it works");
            assert!(!reaped.notices, "{reaped:?}");
        }
        assert_eq!(place.keys().await, [""; 0]);
    }
}
