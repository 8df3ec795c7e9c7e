//! Hosts do not hold up each other, nor the end of a server.

use futures_util::future::join_all;

use super::*;
use crate::test_log::Log;

/// Tasks that end now, and whose callers want to be told on this host.
async fn burst(server: &TestServer, host: &str, count: usize) -> Vec<String> {
    let url = format!("https://{host}.example.com/");
    let calls = (0..count).map(|_| {
        let arguments = json!({"seconds": 0, "callback_url": &url});
        server.call("sleep_initiate", arguments)
    });
    let mut ids = Vec::new();
    for task in join_all(calls).await {
        server.finish("sleep", task.id()).await;
        ids.push(task.id().to_owned());
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_does_not_hold_up_others() {
    let wire = Wire::new(|post| match post.url.contains("slow") {
        true => Reply::Hang,
        false => Reply::Status(200),
    });
    let hooks = webhooks().allow_host("*.example.com");
    let server = TestServer::start(wire.builder(hooks)).await;
    let began = Instant::now();
    burst(&server, "slow", 200).await;
    burst(&server, "fast", 1).await;
    let mut posts = wire.posts.subscribe();
    let fast = |posts: &Vec<Post>| posts.iter().any(|post| post.url.contains("fast"));
    posts.wait_for(fast).await.expect("the wire is here");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    let slow = wire
        .posts()
        .iter()
        .filter(|post| post.url.contains("slow"))
        .count();
    assert!(slow <= 8, "{slow}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_told_in_the_end_and_not_all_at_once() {
    let wire = Wire::always(Reply::Status(200));
    let hooks = webhooks().allow_host("*.example.com");
    let server = TestServer::start(wire.builder(hooks)).await;
    burst(&server, "one", 200).await;
    let mut ids: Vec<_> = wire
        .sent(200)
        .await
        .into_iter()
        .map(|post| post.id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 200);
    tokio::time::sleep(DAY).await;
    assert_eq!(wire.posts().len(), 200, "each once");
    assert!(wire.most_under_way() <= 8, "{}", wire.most_under_way());
}

#[tokio::test(start_paused = true)]
async fn names_that_a_caller_makes_up_do_not_hold_up_others() {
    let wire = Wire::new(|post| match post.url.contains("slow") {
        true => Reply::Hang,
        false => Reply::Status(200),
    });
    let hooks = webhooks()
        .allow_host("*.example.com")
        .allow_host("fast.example.org");
    let server = TestServer::start(wire.builder(hooks)).await;
    for number in 0..100 {
        burst(&server, &format!("slow{number}"), 1).await;
    }
    let posts = wire.sent(24).await;
    assert_eq!(posts.len(), 24, "of 64 in hand");
    let began = Instant::now();
    let url = "https://fast.example.org/";
    let arguments = json!({"seconds": 0, "callback_url": url});
    let task = server.call("sleep_initiate", arguments).await;
    server.finish("sleep", task.id()).await;
    let posts = wire.sent(25).await;
    assert_eq!(posts[24].url, url);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_busy_host_is_given_up_in_the_end() {
    let (log, _guard) = Log::capture();
    let wire = Wire::always(Reply::Hang);
    let (store, namespace) = store().await;
    let hooks = webhooks()
        .allow_host("*.example.com")
        .timeout(Duration::from_secs(40))
        .pauses([Duration::from_secs(1)])
        .give_up_after(MINUTE);
    let server = TestServer::start(wire.builder(hooks).store(store)).await;
    let ids = burst(&server, "slow", 40).await;
    let mut never_sent = 0;
    for id in &ids {
        let state = settled(&namespace, id).await;
        let callback = &state["targets"]["callback"];
        assert_eq!(callback["outcome"], "given_up", "{callback}");
        if callback["tries"] == 0 {
            let error = callback["error"].as_str().expect("text");
            assert!(error.contains("too much to do"), "{error}");
            never_sent += 1;
        }
    }
    assert!(never_sent > 0, "8 at once, each for 40 seconds of a minute");
    let text = log.text();
    let given_up = text.matches("gave up telling of a task").count();
    assert_eq!(given_up, ids.len(), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_server_tells_what_ends_while_it_ends() {
    let wire = Wire::always(Reply::Status(200));
    let server = TestServer::start(wire.builder(one_endpoint())).await;
    server.call("sleep_initiate", json!({"seconds": 10})).await;
    server.tools().shutdown().await;
    assert_eq!(wire.posts().len(), 1);
    assert_eq!(wire.posts()[0].body["type"], "task.completed");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_does_not_hold_up_the_end_for_long() {
    let wire = Wire::always(Reply::Hang);
    let server = TestServer::start(wire.builder(one_endpoint())).await;
    done(&server).await;
    wire.sent(1).await;
    let began = Instant::now();
    server.tools().shutdown().await;
    assert!(
        began.elapsed() <= Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
