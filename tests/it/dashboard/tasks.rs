//! Lists, tasks, numbers.

use std::time::Duration;

use async_tool::dashboard::Dashboard;
use async_tool::testing::TestServer;
use async_tool::{MemoryStore, Principal};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Site;
use crate::flaky::Flaky;
use crate::tools::{builder, start};

fn ids(page: &Value) -> Vec<&str> {
    let tasks = page["tasks"].as_array().expect("a list");
    tasks
        .iter()
        .map(|task| task["task_id"].as_str().unwrap_or_default())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn tasks_of_everybody_are_listed_newest_first_and_in_pages() {
    let store = MemoryStore::new();
    let mut started = Vec::new();
    let mut servers = Vec::new();
    for name in ["alice", "bob"] {
        let tools = builder()
            .store(store.clone())
            .principal(move |_| Some(Principal::new(name)));
        let server = TestServer::start(tools).await;
        for _ in 0..3 {
            let nap = server.call("nap_initiate", json!({"millis": 60_000})).await;
            started.push(nap.id().to_owned());
        }
        servers.push(server);
    }
    started.sort();
    let site = Site::of(&servers[0], Dashboard::new());
    let mut seen = Vec::new();
    let mut times = Vec::new();
    let mut query = String::new();
    for count in [4, 2] {
        let page = site.get(&format!("/api/tasks?limit=4{query}")).await.json();
        assert_eq!(ids(&page).len(), count, "{page}");
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        let tasks = page["tasks"].as_array().expect("a list");
        times.extend(
            tasks
                .iter()
                .map(|task| task["created_at"].as_str().map(str::to_owned)),
        );
        query = page["next"]
            .as_str()
            .map(|next| format!("&after={next}"))
            .unwrap_or_default();
    }
    assert_eq!(query, "", "there is no third page");
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    seen.sort();
    assert_eq!(seen, started);
    let page = site.get("/api/tasks").await.json();
    let mut owners: Vec<_> = page["tasks"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|task| task["principal"].as_str().unwrap_or_default())
        .collect();
    owners.sort_unstable();
    owners.dedup();
    assert_eq!(owners, ["alice", "bob"]);
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_by_tool_and_status() {
    let server = start().await;
    let nap = server.call("nap_initiate", json!({"millis": 60_000})).await;
    let odd = server.call("odd_initiate", json!({"how": "quota"})).await;
    server.finish("odd", odd.id()).await;
    let site = Site::of(&server, Dashboard::new());
    for (query, expected) in [
        ("", vec![odd.id(), nap.id()]),
        ("?tool=nap", vec![nap.id()]),
        ("?tool=", vec![odd.id(), nap.id()]),
        ("?tool=other", vec![]),
        ("?status=failed", vec![odd.id()]),
        ("?status=queued,working", vec![nap.id()]),
        ("?status=working,working", vec![nap.id()]),
        ("?status=working,failed&tool=odd", vec![odd.id()]),
    ] {
        let page = site.get(&format!("/api/tasks{query}")).await.json();
        let mut found = ids(&page);
        // They may have been made in the same millisecond.
        found.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_has_its_progress_its_timeline_and_its_log() {
    let server = start().await;
    let task = server.call("work_initiate", json!({"units": 4})).await;
    tokio::time::sleep(Duration::from_millis(6500)).await;
    let site = Site::of(&server, Dashboard::new());
    let told = site.get(&format!("/api/tasks/{}", task.id())).await.json();
    assert_eq!(told["status"], "working", "{told}");
    assert_eq!(told["message"], "unit 2");
    let progress = &told["progress"];
    assert_eq!(
        (&progress["step"], &progress["current"]),
        (&json!("work"), &json!(2))
    );
    let steps = &told["attempts"][0]["steps"];
    assert_eq!(steps[0]["name"], "prepare");
    assert_eq!(steps[0]["took_seconds"], 4.0);
    assert_eq!(
        (&steps[1]["name"], steps[1].get("took_seconds")),
        (&json!("work"), None)
    );
    assert_eq!(told["log"], json!([]));
    assert_eq!(told.get("arguments"), None);
    server.finish("work", task.id()).await;
    let told = site.get(&format!("/api/tasks/{}", task.id())).await.json();
    assert_eq!(told["attempts"][0]["end"], "completed");
    assert_eq!(told.get("progress"), None, "{told}");
}

#[tokio::test(start_paused = true)]
async fn results_and_details_are_shown_where_that_is_wanted_alone() {
    let server = start().await;
    let nap = server.call("nap_initiate", json!({"millis": 7})).await;
    server.finish("nap", nap.id()).await;
    let odd = server.call("odd_initiate", json!({"how": "quota"})).await;
    server.finish("odd", odd.id()).await;

    let hidden = Site::of(&server, Dashboard::new());
    let told = hidden.get(&format!("/api/tasks/{}", nap.id())).await.json();
    assert_eq!(
        (told.get("result"), &told["result_hidden"]),
        (None, &json!(true))
    );
    let told = hidden.get(&format!("/api/tasks/{}", odd.id())).await.json();
    assert_eq!(told["error"]["code"], "quota");
    assert_eq!(told["error"]["message"], "no quota left");
    assert_eq!(told["error"].get("details"), None, "{told}");

    let shown = Site::of(&server, Dashboard::new().show_results());
    let told = shown.get(&format!("/api/tasks/{}", nap.id())).await.json();
    assert_eq!(told["result"], json!({"millis": 7}));
    let told = shown.get(&format!("/api/tasks/{}", odd.id())).await.json();
    assert_eq!(told["error"]["details"], json!({"limit": 3}));
}

#[tokio::test(start_paused = true)]
async fn tools_have_numbers_from_the_tasks_that_ended() {
    let server = start().await;
    for millis in [1000, 2000, 3000] {
        let nap = server.call("nap_initiate", json!({"millis": millis})).await;
        server.finish("nap", nap.id()).await;
    }
    let odd = server.call("odd_initiate", json!({"how": "error"})).await;
    server.finish("odd", odd.id()).await;
    let site = Site::of(&server, Dashboard::new());
    let told = site.get("/api/tools").await.json();
    assert_eq!(told["tasks"], 4);
    let of = |name: &str| {
        let tools = told["tools"].as_array().expect("a list");
        tools
            .iter()
            .find(|tool| tool["tool"] == name)
            .expect("it is there")
            .clone()
    };
    let nap = of("nap");
    assert_eq!(
        (&nap["completed"], &nap["failure_rate"]),
        (&json!(3), &json!(0.0))
    );
    assert_eq!(nap["points"].as_array().map(Vec::len), Some(3));
    assert_eq!(of("odd")["failure_rate"], 1.0);
    assert_eq!(of("work")["completed"], 0, "a tool without tasks is there");

    // Whoever asks within a few seconds gets the same.
    let nap = server.call("nap_initiate", json!({"millis": 1})).await;
    server.finish("nap", nap.id()).await;
    assert_eq!(site.get("/api/tools").await.json(), told);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(site.get("/api/tools").await.json()["tasks"], 5);
}

#[tokio::test(start_paused = true)]
async fn health_tells_of_queue_and_work() {
    let server = start().await;
    for _ in 0..2 {
        server
            .call("single_initiate", json!({"millis": 60_000}))
            .await;
    }
    let site = Site::of(&server, Dashboard::new());
    let health = site.get("/api/health").await.json();
    assert_eq!(
        (&health["running"], &health["queued"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&health["workers"], &health["records"]),
        (&json!(1), &json!(2))
    );
    assert!(health["oldest_queued_at"].is_string(), "{health}");
    assert_eq!(
        (&health["can_cancel"], &health["draining"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_an_error_without_its_secrets() {
    let store = Flaky::default();
    let server = TestServer::start(builder().store(store.clone())).await;
    let site = Site::of(&server, Dashboard::new());
    store.set_down(true);
    for path in ["/api/tasks", "/api/health", "/api/tools"] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.code(), "store_unavailable");
        assert!(!answer.text.contains("secret-host"), "{}", answer.text);
    }
}
