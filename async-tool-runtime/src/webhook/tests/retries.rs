//! When messages are sent again, and when no more.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::webhook::Resolve;

/// How long after the first message each one was sent.
fn ages(posts: &[Post]) -> Vec<Duration> {
    posts.iter().map(|post| post.at - posts[0].at).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_tried_for_a_day_and_then_given_up() {
    let wire = Wire::always(Reply::Status(500));
    let (store, namespace) = store().await;
    let builder = wire.builder(one_endpoint()).retention(MINUTE).store(store);
    let server = TestServer::start(builder).await;
    let id = done(&server).await;
    let state = settled(&namespace, &id).await;

    let posts = wire.posts();
    assert!(posts.iter().all(|post| post.id == posts[0].id), "one id");
    assert!(
        posts.iter().all(|post| post.text == posts[0].text),
        "one body"
    );
    assert!(posts.windows(2).all(|two| two[0].seconds < two[1].seconds));
    let ages = ages(&posts);
    let pauses: Vec<u64> = ages
        .windows(2)
        .map(|two| (two[1] - two[0]).as_secs())
        .collect();
    for (pause, least) in pauses.iter().zip([5, 300, 1800, 7200, 18_000, 36_000]) {
        assert!((least..=least * 6 / 5 + 1).contains(pause), "{pauses:?}");
    }
    let last = *ages.last().expect("some");
    assert!(last >= DAY - MINUTE && last <= DAY + MINUTE, "{last:?}");

    assert_eq!(state["targets"]["ops"]["outcome"], "given_up");
    assert_eq!(state["targets"]["ops"]["error"], "HTTP 500");
    assert_eq!(state["targets"]["ops"]["tries"], posts.len());
    // The record was to be gone after a minute; it outlives its delivery.
    let status = server.call("sleep_status", json!({"task_id": id})).await;
    assert_eq!(status["status"], "completed", "{}", status.text);
    tokio::time::sleep(2 * HOUR).await;
    let status = server.call("sleep_status", json!({"task_id": id})).await;
    assert_eq!(status.error_code(), Some("task_not_found"));
    assert_eq!(wire.posts().len(), posts.len());
}

#[tokio::test(start_paused = true)]
async fn who_has_heard_is_not_told_again() {
    let wire = Wire::new(|post| match post.id.ends_with("_bad") {
        true => Reply::Status(500),
        false => Reply::Status(200),
    });
    let hooks = webhooks()
        .endpoint(Endpoint::new("good", "https://good.example.com/"))
        .endpoint(Endpoint::new("bad", "https://bad.example.com/"))
        .allow_host("hooks.example.com");
    let server = TestServer::start(wire.builder(hooks)).await;
    let url = "https://hooks.example.com/";
    let task = server
        .call("sleep_initiate", json!({"seconds": 0, "callback_url": url}))
        .await;
    server.finish("sleep", task.id()).await;
    let posts = wire.sent(6).await;
    let to = |name: &str| posts.iter().filter(|post| post.id.ends_with(name)).count();
    assert_eq!((to("_good"), to("_callback"), to("_bad")), (1, 1, 4));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let wire = Wire::always(Reply::Status(410));
    let (store, namespace) = store().await;
    let server = TestServer::start(wire.builder(one_endpoint()).store(store)).await;
    let id = done(&server).await;
    let state = settled(&namespace, &id).await;
    assert_eq!(state["targets"]["ops"]["outcome"], "given_up");
    assert_eq!(wire.posts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn redirects_are_failures() {
    let wire = Wire::always(Reply::Status(307));
    let (store, namespace) = store().await;
    let hooks = one_endpoint().give_up_after(Duration::ZERO);
    let server = TestServer::start(wire.builder(hooks).store(store)).await;
    let id = done(&server).await;
    let state = settled(&namespace, &id).await;
    let error = state["targets"]["ops"]["error"].as_str().expect("text");
    assert!(
        error.contains("307") && error.contains("not followed"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn receivers_may_ask_for_more_time() {
    for (status, asked, least, most) in [
        (503, 90, 90, 91),
        (429, 1_000_000, 3600, 3601),
        (503, 0, 5, 7),
        // It has no meaning there.
        (500, 90, 5, 7),
    ] {
        let wire = Wire::always(Reply::After(status, Duration::from_secs(asked)));
        let server = TestServer::start(wire.builder(one_endpoint())).await;
        done(&server).await;
        let pause = ages(&wire.sent(2).await)[1].as_secs();
        assert!((least..=most).contains(&pause), "{status} {asked}: {pause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_is_tried_again() {
    let tries = AtomicUsize::new(0);
    let wire = Wire::new(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Hang,
        _ => Reply::Status(200),
    });
    let (store, namespace) = store().await;
    let server = TestServer::start(wire.builder(one_endpoint()).store(store)).await;
    let id = done(&server).await;
    let state = settled(&namespace, &id).await;
    assert_eq!(state["targets"]["ops"]["outcome"], "delivered");
    // 15 seconds, and then the first pause.
    let again = ages(&wire.posts())[1].as_secs();
    assert!((20..=22).contains(&again), "{again}");
}

/// Looks up nothing.
struct Panics;

#[async_trait]
impl Resolve for Panics {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        panic!("a bug of the application")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_resolver_is_a_failed_try() {
    let (store, namespace) = store().await;
    let hooks = one_endpoint().resolver(Panics).give_up_after(MINUTE);
    let builder = AsyncTools::builder().registry(Registry::new().with(SleepTool));
    let server = TestServer::start(builder.webhooks(hooks).store(store)).await;
    let id = done(&server).await;
    let state = settled(&namespace, &id).await;
    let ops = &state["targets"]["ops"];
    assert_eq!(ops["outcome"], "given_up");
    assert_eq!(ops["error"], "the try panicked");
    assert_eq!(ops["tries"], 3, "each was kept");
}

#[tokio::test(start_paused = true)]
async fn a_panic_keeps_nobody_else_from_being_told_once() {
    let wire = Wire::new(|post| match post.id.ends_with("_bad") {
        true => panic!("a bug"),
        false => Reply::Status(200),
    });
    let (store, namespace) = store().await;
    let hooks = one_endpoint()
        .endpoint(Endpoint::new("bad", "https://bad.example.com/"))
        .give_up_after(MINUTE);
    let server = TestServer::start(wire.builder(hooks).store(store)).await;
    let id = done(&server).await;
    let state = settled(&namespace, &id).await;
    assert_eq!(state["targets"]["bad"]["outcome"], "given_up");
    assert_eq!(state["targets"]["ops"]["outcome"], "delivered");
    assert_eq!(wire.posts().len(), 1, "the others told nobody");
}

#[tokio::test(start_paused = true)]
async fn any_worker_tells() {
    let wire = Wire::always(Reply::Status(200));
    let (store, namespace) = store().await;
    // The one that executes knows of no webhooks, and the one that does executes nothing.
    let tells = wire.builder(one_endpoint()).store(store.clone()).slots(0);
    let tells = TestServer::start(tells).await;
    let executes = AsyncTools::builder().registry(Registry::new().with(SleepTool));
    let _executes = TestServer::start(executes.store(store)).await;
    let id = done(&tells).await;
    settled(&namespace, &id).await;
    assert_eq!(wire.posts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_worker_had_in_hand_is_told_by_another() {
    let (store, namespace) = store().await;
    let dies = Wire::always(Reply::Hang);
    let first = TestServer::start(dies.builder(one_endpoint()).store(store.clone())).await;
    let id = done(&first).await;
    dies.sent(1).await;
    first.tools().shared().server.engine.abandon();
    let wire = Wire::always(Reply::Status(200));
    let _second = TestServer::start(wire.builder(one_endpoint()).store(store)).await;
    settled(&namespace, &id).await;
    assert_eq!(wire.posts()[0].id, dies.posts()[0].id);
}

#[tokio::test(start_paused = true)]
async fn several_workers_tell_once() {
    let wire = Wire::always(Reply::Status(200));
    let (store, namespace) = store().await;
    let mut servers = Vec::new();
    for _ in 0..3 {
        let builder = wire.builder(one_endpoint()).store(store.clone());
        servers.push(TestServer::start(builder).await);
    }
    for server in servers.iter().cycle().take(30) {
        let id = done(server).await;
        settled(&namespace, &id).await;
    }
    let mut ids: Vec<_> = wire.posts().into_iter().map(|post| post.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), wire.posts().len()), (30, 30));
}
