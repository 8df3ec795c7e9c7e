//! Tools that ask their caller.

mod tools;

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_tool::testing::{Answer, TestServer};
use async_tool::{MemoryStore, Surface};
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) use tools::{SwitchTool, counts, switches};

/// Waits until the task asks, and gives the snapshot that says so.
async fn asked(server: &TestServer, id: &str) -> Answer {
    let wait = json!({"task_id": id, "wait_seconds": 50});
    let snapshot = server.call("switch_status", wait).await;
    assert_eq!(snapshot["status"], "input_required", "{}", snapshot.text);
    snapshot
}

fn key(snapshot: &Answer) -> Value {
    snapshot["questions"][0]["key"].clone()
}

async fn respond(server: &TestServer, id: &str, key: &Value, answer: Value) -> Answer {
    let mut arguments = answer;
    arguments["task_id"] = json!(id);
    arguments["key"] = key.clone();
    server.call("switch_respond", arguments).await
}

fn yes() -> Value {
    json!({"action": "accept", "content": {"approved": true}})
}

#[tokio::test(start_paused = true)]
async fn a_question_is_in_the_snapshot_and_is_answered_by_the_fourth_tool() {
    let server = TestServer::start(switches(&counts())).await;
    let task = server
        .call("switch_initiate", json!({"environment": "production"}))
        .await;
    let snapshot = asked(&server, task.id()).await;
    assert_eq!(
        snapshot["questions"],
        json!([{
            "key": key(&snapshot),
            "message": "Switch production?",
            "schema": {
                "type": "object",
                "description": "Whether to go on.",
                "properties": {
                    "approved": {"type": "boolean", "description": "Go on?"},
                    "comment": {"type": "string"},
                },
                "required": ["approved"],
            },
        }])
    );
    let next = snapshot["next"].as_str().expect("says how to go on");
    assert!(next.contains("switch_respond"), "{next}");
    let answer = json!({
        "action": "accept", "content": {"approved": true, "comment": "at last"},
    });
    let answered = respond(&server, task.id(), &key(&snapshot), answer).await;
    assert_eq!(answered["status"], "working", "{}", answered.text);
    assert!(answered["revision"].as_u64() > snapshot["revision"].as_u64());
    assert!(answered.structure.get("questions").is_none());
    let end = server.finish("switch", task.id()).await;
    assert_eq!(
        end["result"],
        json!({"approved": true, "comment": "at last"})
    );
}

#[tokio::test(start_paused = true)]
async fn only_a_tool_that_says_so_may_ask() {
    let server = TestServer::start(switches(&counts())).await;
    let names: Vec<_> = server
        .tools()
        .tools()
        .iter()
        .map(|tool| &tool.name)
        .collect();
    assert!(names.iter().any(|name| **name == "switch_respond"));
    assert!(!names.iter().any(|name| **name == "silent_respond"));
    let task = server
        .call("silent_initiate", json!({"environment": "test"}))
        .await;
    let end = server.finish("silent", task.id()).await;
    let message = end["error"]["message"].as_str().expect("failed");
    assert!(message.contains("`interactive`"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_decline_or_dismiss() {
    let server = TestServer::start(switches(&counts())).await;
    for (action, code) in [("decline", "input_declined"), ("cancel", "input_dismissed")] {
        let task = server
            .call("switch_initiate", json!({"environment": "test"}))
            .await;
        let snapshot = asked(&server, task.id()).await;
        respond(
            &server,
            task.id(),
            &key(&snapshot),
            json!({"action": action}),
        )
        .await;
        let end = server.finish("switch", task.id()).await;
        assert_eq!(end.error_code(), Some(code), "{}", end.text);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_must_fit_its_question() {
    let server = TestServer::start(switches(&counts())).await;
    let task = server
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let snapshot = asked(&server, task.id()).await;
    let wrong = json!({"action": "accept", "content": {"approved": "yes"}});
    let refused = respond(&server, task.id(), &key(&snapshot), wrong).await;
    assert_eq!(refused.error_code(), Some("invalid_arguments"));
    assert_eq!(
        refused["error"]["details"]["problems"][0]["path"],
        "/content/approved"
    );
    let missing = json!({"action": "accept"});
    let refused = respond(&server, task.id(), &key(&snapshot), missing).await;
    assert_eq!(refused.error_code(), Some("invalid_arguments"));
    let other = respond(&server, task.id(), &json!("other"), yes()).await;
    assert_eq!(other.error_code(), Some("question_closed"));
    // The question is open all the same.
    respond(&server, task.id(), &key(&snapshot), yes()).await;
    assert_eq!(
        server.finish("switch", task.id()).await["result"]["approved"],
        true
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_stays_and_the_same_one_again_is_no_error() {
    let server = TestServer::start(switches(&counts())).await;
    let task = server
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let snapshot = asked(&server, task.id()).await;
    let key = key(&snapshot);
    assert!(!respond(&server, task.id(), &key, yes()).await.is_error);
    assert!(!respond(&server, task.id(), &key, yes()).await.is_error);
    let other = respond(&server, task.id(), &key, json!({"action": "decline"})).await;
    assert_eq!(other.error_code(), Some("question_closed"));
    assert_eq!(
        server.finish("switch", task.id()).await["result"]["approved"],
        true
    );
    let late = respond(&server, task.id(), &key, yes()).await;
    assert_eq!(late.error_code(), Some("question_closed"), "{}", late.text);
}

#[tokio::test(start_paused = true)]
async fn two_questions_may_be_open_at_once() {
    let server = TestServer::start(switches(&counts())).await;
    let task = server
        .call(
            "switch_initiate",
            json!({"environment": "test", "twice": true}),
        )
        .await;
    asked(&server, task.id()).await;
    let status = json!({"task_id": task.id()});
    let mut snapshot = server.call("switch_status", status.clone()).await;
    while snapshot["questions"].as_array().map(Vec::len) != Some(2) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        snapshot = server.call("switch_status", status.clone()).await;
    }
    let first = respond(&server, task.id(), &key(&snapshot), yes()).await;
    assert_eq!(first["status"], "input_required", "{}", first.text);
    assert_eq!(first["questions"].as_array().map(Vec::len), Some(1));
    let second = respond(&server, task.id(), &key(&first), yes()).await;
    assert_eq!(second["status"], "working", "{}", second.text);
    assert_eq!(
        server.finish("switch", task.id()).await["result"]["approved"],
        true
    );
}

#[tokio::test(start_paused = true)]
async fn the_slot_is_free_while_a_task_waits_and_taken_first_in_line_afterwards() {
    let counts = counts();
    let server = TestServer::start(switches(&counts).slots(1)).await;
    let initiate = || server.call("switch_initiate", json!({"environment": "test"}));
    let first = initiate().await;
    let first_question = asked(&server, first.id()).await;
    // The only slot is free for the next one, and for one more.
    let second = initiate().await;
    let second_question = asked(&server, second.id()).await;
    let third = initiate().await;
    let third_question = asked(&server, third.id()).await;
    respond(&server, third.id(), &key(&third_question), yes()).await;
    let started = Instant::now();
    // It has the slot now; both others wait for it, in the order of answers.
    respond(&server, second.id(), &key(&second_question), yes()).await;
    respond(&server, first.id(), &key(&first_question), yes()).await;
    for (task, seconds) in [(&third, 30), (&second, 60), (&first, 90)] {
        server.finish("switch", task.id()).await;
        assert_eq!(started.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn the_concurrency_key_is_kept_while_a_task_waits() {
    let server = TestServer::start(switches(&counts())).await;
    let initiate = || server.call("keyed_initiate", json!({"environment": "test"}));
    let first = initiate().await;
    let wait = |id: &str| json!({"task_id": id, "wait_seconds": 50});
    let asked = server.call("keyed_status", wait(first.id())).await;
    assert_eq!(asked["status"], "input_required", "{}", asked.text);
    let second = initiate().await;
    let waiting = server.call("keyed_status", wait(second.id())).await;
    assert_eq!(waiting["status"], "queued", "{}", waiting.text);
    let mut answer = yes();
    answer["task_id"] = json!(first.id());
    answer["key"] = key(&asked);
    server.call("keyed_respond", answer).await;
    server.finish("keyed", first.id()).await;
    let asked = server.call("keyed_status", wait(second.id())).await;
    assert_eq!(asked["status"], "input_required", "{}", asked.text);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_stands_still_while_a_task_waits_and_the_deadline_does_not() {
    let server = TestServer::start(switches(&counts())).await;
    let task = server
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let snapshot = asked(&server, task.id()).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    respond(&server, task.id(), &key(&snapshot), yes()).await;
    let end = server.finish("switch", task.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);

    let arguments = json!({"environment": "test", "max_wait_seconds": 100});
    let task = server.call("switch_initiate", arguments).await;
    let started = Instant::now();
    asked(&server, task.id()).await;
    tokio::time::sleep(Duration::from_secs(110)).await;
    let end = server.finish("switch", task.id()).await;
    assert_eq!(end.error_code(), Some("timed_out"), "{}", end.text);
    assert_eq!(end["error"]["details"]["clock"], "deadline");
    let moment = |name: &str| {
        let text = end[name].as_str().expect("a time");
        humantime::parse_rfc3339(text).expect("RFC 3339")
    };
    let took = moment("finished_at").duration_since(moment("created_at"));
    assert_eq!(took.map(|took| took.as_secs()).ok(), Some(100));
    assert!(started.elapsed() >= Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_can_be_cancelled() {
    let server = TestServer::start(switches(&counts()).slots(1)).await;
    let task = server
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let snapshot = asked(&server, task.id()).await;
    let cancelled = server
        .call(
            "switch_cancel",
            json!({"task_id": task.id(), "reason": "no"}),
        )
        .await;
    assert_eq!(cancelled["status"], "cancelled", "{}", cancelled.text);
    let late = respond(&server, task.id(), &key(&snapshot), yes()).await;
    assert_eq!(late.error_code(), Some("question_closed"));
    // Nothing is left of its slot's absence.
    let next = server
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let snapshot = asked(&server, next.id()).await;
    respond(&server, next.id(), &key(&snapshot), yes()).await;
    assert_eq!(
        server.finish("switch", next.id()).await["status"],
        "completed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_waits_for_is_taken_back() {
    let server = TestServer::start(switches(&counts()).slots(1)).await;
    let arguments = json!({"environment": "test", "patience": 5});
    let task = server.call("switch_initiate", arguments).await;
    let snapshot = asked(&server, task.id()).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let now = server
        .call("switch_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(now["status"], "working", "{}", now.text);
    let late = respond(&server, task.id(), &key(&snapshot), yes()).await;
    assert_eq!(late.error_code(), Some("question_closed"));
    let end = server.finish("switch", task.id()).await;
    assert_eq!(end["result"]["comment"], "nobody answered");
    only_slot_is_free(&server).await;
}

/// With one slot: it is there, and only once.
async fn only_slot_is_free(server: &TestServer) {
    let started = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let arguments = json!({"environment": "test", "patience": 0});
        tasks.push(server.call("switch_initiate", arguments).await);
    }
    for (task, seconds) in tasks.iter().zip([30, 60]) {
        server.finish("switch", task.id()).await;
        let took = started.elapsed();
        assert!(took.as_secs().abs_diff(seconds) <= 1, "{took:?}");
    }
}

/// Answered while another task has the slot; nobody waits for the answer when
/// the slot is there.
#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_while_the_slot_is_taken_waits_for_it() {
    let server = TestServer::start(switches(&counts()).slots(1)).await;
    for patience in [10, 1000] {
        let arguments = json!({"environment": "test", "patience": patience});
        let task = server.call("switch_initiate", arguments).await;
        let question = asked(&server, task.id()).await;
        // This one has the slot for half a minute.
        let arguments = json!({"environment": "other", "patience": 0});
        let other = server.call("switch_initiate", arguments).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        respond(&server, task.id(), &key(&question), yes()).await;
        let end = server.finish("switch", task.id()).await;
        assert_eq!(end["result"]["approved"], patience == 1000, "{}", end.text);
        server.finish("switch", other.id()).await;
        only_slot_is_free(&server).await;
    }
}

/// Who has said yes, and then stop, means stop.
#[tokio::test(start_paused = true)]
async fn a_cancelled_task_does_not_go_on_with_its_answer() {
    let counts = counts();
    let server = TestServer::start(switches(&counts).slots(1)).await;
    let task = server
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let question = asked(&server, task.id()).await;
    let arguments = json!({"environment": "other", "patience": 0});
    let other = server.call("switch_initiate", arguments).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    respond(&server, task.id(), &key(&question), yes()).await;
    let stop = json!({"task_id": task.id()});
    let stopped = server.call("switch_cancel", stop).await;
    assert_eq!(stopped["status"], "cancelled", "{}", stopped.text);
    server.finish("switch", other.id()).await;
    assert_eq!(counts[1].load(Ordering::SeqCst), 1, "the other one's");
    only_slot_is_free(&server).await;
}

#[tokio::test(start_paused = true)]
async fn revision_and_progress_do_not_go_backwards_when_a_task_asks() {
    let server = TestServer::start(switches(&counts())).await;
    let arguments = json!({"environment": "test", "steps": 5});
    let task = server.call("switch_initiate", arguments).await;
    let (mut revision, mut fraction) = (0, 0.0);
    let mut question = None;
    loop {
        let status = json!({"task_id": task.id()});
        let now = server.call("switch_status", status).await;
        assert!(now["revision"].as_u64() >= Some(revision), "{}", now.text);
        revision = now["revision"].as_u64().expect("a number");
        if now["done"] == true {
            break;
        }
        let progress = now["progress"]["fraction"].as_f64().unwrap_or(fraction);
        assert!(progress >= fraction, "{}", now.text);
        fraction = progress;
        if now["status"] == "input_required" && question.is_none() {
            question = Some(key(&now));
            respond(&server, task.id(), &key(&now), yes()).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(question.is_some() && fraction > 0.7);
}

/// The worker goes away without a word, as in a crash; another one goes on.
#[tokio::test(start_paused = true)]
async fn an_answer_survives_the_death_of_the_worker() {
    let counts = counts();
    let store = MemoryStore::new();
    let lease = Duration::from_secs(5);
    let start = || TestServer::start(switches(&counts).store(store.clone()).lease(lease));
    let first = start().await;
    let task = first
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let id = task.id().to_owned();
    let snapshot = asked(&first, &id).await;
    let question = key(&snapshot);
    drop(first);

    // Answered while nobody works on it.
    let second =
        TestServer::start(switches(&counts).store(store.clone()).lease(lease).slots(0)).await;
    let answered = respond(&second, &id, &question, yes()).await;
    assert!(!answered.is_error, "{}", answered.text);

    let third = start().await;
    let end = third.finish("switch", &id).await;
    assert_eq!(end["result"]["approved"], true, "{}", end.text);
    assert_eq!(end["attempt"], 2);
    let [started, went_on] = &*counts;
    assert_eq!(started.load(Ordering::SeqCst), 2);
    assert_eq!(went_on.load(Ordering::SeqCst), 1);
}

/// What was asked and not answered is asked again, by the same key.
#[tokio::test(start_paused = true)]
async fn a_question_survives_the_death_of_the_worker() {
    let counts = counts();
    let store = MemoryStore::new();
    let start = || {
        TestServer::start(
            switches(&counts)
                .store(store.clone())
                .lease(Duration::from_secs(5)),
        )
    };
    let first = start().await;
    let task = first
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let id = task.id().to_owned();
    let before = asked(&first, &id).await;
    drop(first);
    let second = start().await;
    let mut after = second.call("switch_status", json!({"task_id": id})).await;
    while after["attempt"] != 2 || after["status"] != "input_required" {
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = second.call("switch_status", json!({"task_id": id})).await;
    }
    assert_eq!(before["questions"], after["questions"]);
    respond(&second, &id, &key(&after), yes()).await;
    assert_eq!(
        second.finish("switch", &id).await["result"]["approved"],
        true
    );
}

/// A question is answered at a replica that does not execute the task.
#[tokio::test(start_paused = true)]
async fn any_replica_takes_an_answer() {
    let counts = counts();
    let store = MemoryStore::new();
    let worker = TestServer::start(switches(&counts).store(store.clone())).await;
    let other = TestServer::start(switches(&counts).store(store).slots(0)).await;
    let task = worker
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let snapshot = asked(&other, task.id()).await;
    respond(&other, task.id(), &key(&snapshot), yes()).await;
    let end = other.finish("switch", task.id()).await;
    assert_eq!(end["result"]["approved"], true);
}

#[tokio::test(start_paused = true)]
async fn the_shared_surface_has_one_set_of_tools_for_all() {
    let builder = switches(&counts()).surface(Surface::Shared);
    let server = TestServer::start(builder).await;
    let names: Vec<_> = server
        .tools()
        .tools()
        .iter()
        .map(|tool| &*tool.name)
        .collect();
    assert_eq!(
        names,
        [
            "keyed_initiate",
            "silent_initiate",
            "switch_initiate",
            "task_cancel",
            "task_respond",
            "task_status"
        ]
    );
    let task = server
        .call("switch_initiate", json!({"environment": "test"}))
        .await;
    let next = task["next"].as_str().expect("says how to go on");
    assert!(next.contains("task_status"), "{next}");
    let wait = json!({"task_id": task.id(), "wait_seconds": 50});
    let snapshot = server.call("task_status", wait.clone()).await;
    assert_eq!(snapshot["status"], "input_required", "{}", snapshot.text);
    let mut answer = yes();
    answer["task_id"] = json!(task.id());
    answer["key"] = key(&snapshot);
    server.call("task_respond", answer).await;
    let end = server.call("task_status", wait).await;
    assert_eq!(end["result"]["approved"], true, "{}", end.text);
}
