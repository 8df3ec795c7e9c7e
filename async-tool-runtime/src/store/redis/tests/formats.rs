//! Records of another version of this crate.

use super::*;
use crate::store::{Answered, Epoch, Filter, Owner, Question, TaskKey};

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
async fn only_what_has_asked_is_too_new_for_the_first_version() {
    let Some(place) = Place::new() else {
        return;
    };
    let store = place.store().await;
    let mut raw = place.raw().await;
    let silent = queued(store.as_ref(), task("t")).await;
    let asks = queued(store.as_ref(), task("t")).await;
    assert_eq!(claim(store.as_ref(), lease(), "t", 9).await.len(), 2);
    let question = Question::new("q", "sure?", "true", Epoch(1));
    let asked = store.ask(asks, Epoch(1), vec![question], 0).await;
    assert_eq!(asked.expect("it works"), Ok(()));
    let asked = store.ask(silent, Epoch(1), Vec::new(), 0).await;
    assert_eq!(asked.expect("it works"), Ok(()));
    let answered = store.answer(asks, "q", "1".into()).await;
    assert_eq!(answered.expect("it works"), Some(Answered::Recorded));
    for (id, expected) in [(silent, 1), (asks, TaskRecord::FORMAT)] {
        let key = place.key(&format!("t:{id}"));
        let format: u32 = raw.ask(&["HGET", &key, "format"]).await;
        assert_eq!(format, expected);
    }
}
