//! What is told, and to whom.

use standardwebhooks::Webhook;

use super::*;
use crate::test_log::Log;

#[tokio::test(start_paused = true)]
async fn an_end_is_told_with_its_snapshot() {
    let wire = Wire::always(Reply::Status(204));
    let (store, namespace) = store().await;
    let server = TestServer::start(wire.builder(one_endpoint()).store(store)).await;
    let id = done(&server).await;

    let post = wire.sent(1).await.remove(0);
    assert_eq!(post.url, "https://ops.example.com/tasks");
    assert_eq!(post.id, format!("msg_{id}_1_ops"));
    let status = server.call(
        "sleep_status",
        json!({"task_id": id, "include_result": false}),
    );
    let status = status.await.structure;
    assert_eq!(post.body["type"], "task.completed");
    assert_eq!(post.body["timestamp"], status["finished_at"]);
    assert_eq!(post.body["data"]["tool"], "sleep");
    let mut data = post.body["data"].clone();
    data.as_object_mut().expect("an object").remove("tool");
    assert_eq!(data, status);
    assert!(
        post.text
            .starts_with(r#"{"type":"task.completed","timestamp":""#),
        "{}",
        post.text
    );

    let key = Webhook::new(SECRET).expect("a secret");
    let signed = key.sign(&post.id, post.seconds, post.text.as_bytes());
    assert_eq!(post.signature, signed.expect("text"));

    let state = settled(&namespace, &id).await;
    assert_eq!(state["targets"]["ops"]["outcome"], "delivered");
    assert_eq!(state["targets"]["ops"]["tries"], 1);
    tokio::time::sleep(DAY).await;
    assert_eq!(wire.posts().len(), 1, "once");
}

#[tokio::test(start_paused = true)]
async fn results_are_told_if_that_is_wanted() {
    let wire = Wire::always(Reply::Status(200));
    let server = TestServer::start(wire.builder(one_endpoint().include_result(true))).await;
    done(&server).await;
    let post = wire.sent(1).await.remove(0);
    assert_eq!(post.body["data"]["result"], 0);
    assert_eq!(post.body.get("truncated"), None);
}

#[tokio::test(start_paused = true)]
async fn callers_are_told_where_they_want() {
    let wire = Wire::always(Reply::Status(200));
    let hooks = webhooks()
        .allow_host("hooks.example.com")
        .allow_host(Host::new("*.example.org").secret(OTHER_SECRET))
        .endpoint(Endpoint::new("failures", "https://ops.example.com/").events([Event::Failed]));
    let server = TestServer::start(wire.builder(hooks)).await;
    for url in [
        "https://HOOKS.example.com/a?token=1",
        "https://b.example.org",
    ] {
        let arguments = json!({"seconds": 0, "callback_url": url});
        let task = server.call("sleep_initiate", arguments).await;
        assert!(!task.is_error, "{}", task.text);
        server.finish("sleep", task.id()).await;
    }
    let nobody = done(&server).await;

    let posts = wire.sent(2).await;
    assert_eq!(posts[0].url, "https://HOOKS.example.com/a?token=1");
    assert!(posts[0].id.ends_with("_1_callback"), "{}", posts[0].id);
    assert_eq!(posts[1].url, "https://b.example.org/");
    let by = |secret, post: &Post| {
        let key = Webhook::new(secret).expect("a secret");
        key.sign(&post.id, post.seconds, post.text.as_bytes())
            .expect("text")
    };
    assert_eq!(posts[0].signature, by(SECRET, &posts[0]));
    assert_eq!(posts[1].signature, by(OTHER_SECRET, &posts[1]));
    tokio::time::sleep(HOUR).await;
    assert!(!wire.posts().iter().any(|post| post.id.contains(&nobody)));
}

#[tokio::test(start_paused = true)]
async fn failures_and_cancels_are_told_to_those_who_want_them() {
    let wire = Wire::always(Reply::Status(200));
    let hooks = one_endpoint()
        .events([Event::Cancelled])
        .endpoint(Endpoint::new("all", "https://all.example.com/").events(Event::ALL));
    let server = TestServer::start(wire.builder(hooks).slots(1)).await;
    // The second one is queued, and ends without ever having run.
    let mut ids = Vec::new();
    for _ in 0..2 {
        let task = server
            .call("sleep_initiate", json!({"seconds": 3600}))
            .await;
        ids.push(task.id().to_owned());
    }
    for id in ids.iter().rev() {
        let cancelled = server.call("sleep_cancel", json!({"task_id": id, "reason": "enough"}));
        cancelled.await;
    }
    let late = json!({"seconds": 60, "max_wait_seconds": 5});
    let late = server.call("sleep_initiate", late).await;
    let late = server.finish("sleep", late.id()).await;
    assert_eq!(late["status"], "failed", "{}", late.text);

    let posts = wire.sent(5).await;
    let told = |name: &str, id: &str| {
        let id = format!("msg_{id}_1_{name}");
        let mut found = posts.iter().filter(|post| post.id == id);
        let event = found
            .next()
            .map(|post| post.body["type"].as_str().unwrap_or_default());
        assert!(found.next().is_none(), "once");
        event
    };
    for id in &ids {
        assert_eq!(told("all", id), Some("task.cancelled"));
        assert_eq!(told("ops", id), Some("task.cancelled"));
    }
    assert_eq!(told("all", late.id()), Some("task.failed"));
    assert_eq!(told("ops", late.id()), None);
    tokio::time::sleep(HOUR).await;
    assert_eq!(wire.posts().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_is_not_allowed_is_refused() {
    let wire = Wire::always(Reply::Status(200));
    let hooks = webhooks().allow_host("hooks.example.com");
    let server = TestServer::start(wire.builder(hooks)).await;
    for (url, says) in [
        (json!("http://hooks.example.com/"), "https://"),
        (
            json!("https://elsewhere.example.com/"),
            "host and port that this server allows",
        ),
        (
            json!("https://hooks.example.com:8443/"),
            "host and port that this server allows",
        ),
        (json!("https://me:pw@hooks.example.com/"), "no user name"),
        (json!("https://hooks.example.com/#x"), "no fragment"),
        (json!("https://127.0.0.1/"), "not public"),
        (
            json!(format!("https://hooks.example.com/{}", "x".repeat(2048))),
            "2048 bytes",
        ),
        (json!(7), "string"),
    ] {
        let arguments = json!({"seconds": 0, "callback_url": url});
        let refused = server.call("sleep_initiate", arguments).await;
        assert_eq!(
            refused.error_code(),
            Some("invalid_arguments"),
            "{}",
            refused.text
        );
        let problem = &refused["error"]["details"]["problems"][0];
        assert_eq!(problem["path"], "/callback_url", "{url}");
        let message = problem["message"].as_str().expect("text");
        assert!(message.contains(says), "{url}: {message}");
    }
    assert!(wire.posts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replay_keeps_the_first_callback() {
    let wire = Wire::always(Reply::Status(200));
    let hooks = webhooks().allow_host("hooks.example.com");
    let server = TestServer::start(wire.builder(hooks)).await;
    let mut ids = Vec::new();
    for path in ["first", "second"] {
        let url = format!("https://hooks.example.com/{path}");
        let arguments = json!({"seconds": 5, "idempotency_key": "k", "callback_url": url});
        let task = server.call("sleep_initiate", arguments).await;
        assert!(
            !task.is_error,
            "another URL is no other call: {}",
            task.text
        );
        ids.push(task.id().to_owned());
    }
    assert_eq!(ids[0], ids[1]);
    server.finish("sleep", &ids[0]).await;
    let posts = wire.sent(1).await;
    assert_eq!(posts[0].url, "https://hooks.example.com/first");
    tokio::time::sleep(HOUR).await;
    assert_eq!(wire.posts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_no_worker_allows_is_not_told() {
    let (store, namespace) = store().await;
    let sends = |host: &str| {
        let wire = Wire::always(Reply::Status(200));
        let builder = wire.builder(webhooks().allow_host(host.to_owned()));
        (wire, builder.store(store.clone()))
    };
    // The first one accepts, and the second one executes and tells.
    let (first, accepts) = sends("hooks.example.com");
    let server = TestServer::start(accepts.slots(0)).await;
    let url = "https://hooks.example.com/";
    let task = server
        .call("sleep_initiate", json!({"seconds": 0, "callback_url": url}))
        .await;
    server.tools().shutdown().await;
    let (second, executes) = sends("elsewhere.example.com");
    let server = TestServer::start(executes).await;
    server.finish("sleep", task.id()).await;
    let state = settled(&namespace, task.id()).await;
    assert_eq!(state["targets"]["callback"]["outcome"], "given_up");
    let error = state["targets"]["callback"]["error"]
        .as_str()
        .expect("text");
    assert!(
        error.contains("host and port that this server allows"),
        "{error}"
    );
    assert!(first.posts().is_empty() && second.posts().is_empty());
}

/// What is kept of a delivery, once it has been tried.
async fn tried(store: &Arc<dyn Store>, id: &str, name: &str) -> Value {
    let id = id.parse().expect("an id");
    loop {
        let record = store.get(id).await.expect("memory").expect("it is there");
        let state = record.notice.and_then(|notice| notice.state);
        let state: Value = state.map_or(Value::Null, |state| {
            serde_json::from_str(&state).expect("JSON")
        });
        if state["targets"][name].is_object() {
            return state["targets"][name].clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_newer_rules_tells_what_an_older_one_must_not() {
    let wire = Wire::always(Reply::Status(200));
    let (store, namespace) = store().await;
    let sends = |hooks: Webhooks| wire.builder(hooks).store(store.clone());
    let older = || webhooks().allow_host("elsewhere.example.com");
    let newer = || older().allow_host("hooks.example.com");

    let accepts = TestServer::start(sends(newer()).slots(0)).await;
    let url = "https://hooks.example.com/";
    let task = accepts
        .call("sleep_initiate", json!({"seconds": 0, "callback_url": url}))
        .await;
    accepts.tools().shutdown().await;
    let executes = TestServer::start(sends(older())).await;
    executes.finish("sleep", task.id()).await;
    let refused = tried(&namespace, task.id(), "callback").await;
    assert_eq!(refused["outcome"], "pending", "{refused}");
    let error = refused["error"].as_str().expect("text");
    assert!(error.contains("the worker that tried it"), "{error}");
    executes.tools().shutdown().await;

    let _tells = TestServer::start(sends(newer())).await;
    let state = settled(&namespace, task.id()).await;
    assert_eq!(state["targets"]["callback"]["outcome"], "delivered");
    assert_eq!(wire.posts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_an_endpoint_leaves_what_is_pending_to_others() {
    let wire = Wire::new(|post| match post.id.ends_with("_new") {
        true => Reply::Status(500),
        false => Reply::Status(200),
    });
    let heals = Wire::always(Reply::Status(200));
    let (store, namespace) = store().await;
    let newer = || one_endpoint().endpoint(Endpoint::new("new", "https://new.example.com/"));
    let first = TestServer::start(wire.builder(newer()).store(store.clone())).await;
    let id = done(&first).await;
    let failed = tried(&namespace, &id, "new").await;
    assert_eq!(failed["outcome"], "pending", "{failed}");
    first.tools().shutdown().await;

    let older = TestServer::start(wire.builder(one_endpoint()).store(store.clone())).await;
    tokio::time::sleep(HOUR).await;
    let unknown = tried(&namespace, &id, "new").await;
    assert_eq!(unknown["outcome"], "pending", "{unknown}");
    let error = unknown["error"].as_str().expect("text");
    assert!(error.contains("no such endpoint"), "{error}");
    older.tools().shutdown().await;

    let _newer = TestServer::start(heals.builder(newer()).store(store)).await;
    let state = settled(&namespace, &id).await;
    assert_eq!(state["targets"]["new"]["outcome"], "delivered");
    assert_eq!(heals.posts().len(), 1, "and `ops` has heard");
    assert_eq!(heals.posts()[0].id, format!("msg_{id}_1_new"));
}

#[tokio::test(start_paused = true)]
async fn urls_and_secrets_are_not_logged() {
    let (log, _guard) = Log::capture();
    let wire = Wire::new(|post| match post.url.contains("gone") {
        true => Reply::Status(410),
        false => Reply::BreakOff,
    });
    let (store, namespace) = store().await;
    let hooks = webhooks()
        .allow_host("hooks.example.com")
        .endpoint(Endpoint::new("ops", "https://gone.example.com/token-2"))
        .give_up_after(Duration::ZERO);
    let server = TestServer::start(wire.builder(hooks).store(store)).await;
    let url = "https://hooks.example.com/?token-1";
    let task = server
        .call("sleep_initiate", json!({"seconds": 0, "callback_url": url}))
        .await;
    server.finish("sleep", task.id()).await;
    let state = settled(&namespace, task.id()).await;
    assert_eq!(
        state["targets"]["callback"]["error"],
        "the connection broke off"
    );
    let text = format!("{}{state}", log.text());
    assert_eq!(
        text.matches("gave up telling of a task").count(),
        2,
        "{text}"
    );
    assert!(
        text.contains(task.id()) && text.contains("callback"),
        "{text}"
    );
    assert!(
        !text.contains("token-") && !text.contains("whsec"),
        "{text}"
    );
}
