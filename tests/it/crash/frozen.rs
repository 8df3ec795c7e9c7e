//! A process that is stopped for longer than its lease and then goes on,
//! unaware of what has happened.

use std::collections::HashMap;
use std::time::Duration;

use async_tool::testing::Answer;
use futures_util::future::join;
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::arena::Scene;
use super::checks::{Counts, check_lines};
use super::client::Client;
use super::host::{Host, Process};
use super::ledger::{Event, Ledger, Line};

const END: Duration = Duration::from_secs(60);
/// How many tasks of each kind the frozen process has.
const TASKS: usize = 4;

/// What must be as it was after the frozen process has gone on.
fn lasting(answer: &Answer) -> [&Value; 6] {
    ["status", "result", "error", "revision", "attempt", "log"].map(|field| &answer[field])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_5_a_frozen_process_writes_nothing_when_it_goes_on() {
    let scene = Scene::new();
    check_frozen(scene.host()).await;
}

/// Freezes a process of this host until its tasks have ended elsewhere.
pub(crate) async fn check_frozen(mut host: Host) {
    let ledger = host.ledger();
    // Not lost before, on a machine that has a lot to do.
    host.lease = Duration::from_secs(2);
    let end = Instant::now() + END;
    let zombie = host.start().await;
    let to_zombie = Client::connect(zombie.address).await.expect("connects");

    // It claims all of them as they come.
    let mut tasks = Vec::new();
    for number in 0..TASKS {
        for (tool, arguments) in [
            ("haunted", json!({})),
            ("once", json!({"number": number, "millis": 600_000})),
            ("staged", json!({"number": number, "millis": 4_000})),
        ] {
            let initiate = format!("{tool}_initiate");
            let task = to_zombie.ask(&initiate, arguments).await;
            tasks.push((tool, task.id().to_owned()));
        }
    }
    for (tool, id) in &tasks {
        has_begun(&to_zombie, tool, id, end).await;
    }
    freeze(&zombie, &host);

    let heir = host.start().await;
    let to_heir = Client::connect(heir.address).await.expect("connects");
    let mut ends = Vec::new();
    let rung = to_heir.ask("ring_initiate", json!({})).await;
    assert!(!rung.is_error, "{}", rung.text);
    for (tool, id) in &tasks {
        let ended = to_heir.finish(tool, id, end).await;
        match *tool {
            "once" => assert_eq!(ended.error_code(), Some("interrupted"), "{}", ended.text),
            _ => {
                assert_eq!(ended["status"], "completed", "{}", ended.text);
                assert_eq!(ended["attempt"], 2, "{}", ended.text);
            }
        }
        ends.push(ended);
    }
    // This waits in the socket: it is among the first things to be done.
    let thaw = async { zombie.signal(Signal::CONT) };
    let (rung, ()) = join(to_zombie.ask("ring_initiate", json!({})), thaw).await;
    let rung = to_zombie.finish("ring", rung.id(), end).await;
    assert_eq!(rung["status"], "completed", "it works again: {}", rung.text);

    for ((tool, id), ended) in tasks.iter().zip(&ends) {
        for client in [&to_zombie, &to_heir] {
            let seen = client.finish(tool, id, end).await;
            assert_eq!(lasting(&seen), lasting(ended), "{tool}");
        }
    }
    // All attempts were stopped, those that the bell did not end before; and no
    // step began or was recorded.
    let did = |event| of(&ledger, zombie.pid(), event);
    assert!(did(Event::Ended).iter().all(|line| line.tool == "haunted"));
    let stopped = did(Event::Ended).len() + did(Event::Dropped).len();
    assert_eq!(stopped, tasks.len());
    let late = |event| {
        let lines = did(event).into_iter();
        lines.filter(|line| line.detail == "late").count()
    };
    assert_eq!(late(Event::StepRefused), TASKS);
    assert_eq!(late(Event::StepRan), 0);
    check_lines(&ledger.lines(), &HashMap::new(), &mut Counts::default());
}

/// Freezes a process, though not while it holds the file's lock: until it goes
/// on, nobody else could write, and nobody but the operating system could
/// change that.
fn freeze(process: &Process, host: &Host) {
    if host.store.is_some() {
        return process.stop();
    }
    let file = Connection::open(host.database()).expect("opens");
    file.busy_timeout(Duration::from_millis(20))
        .expect("is set");
    for _ in 0..1000 {
        process.stop();
        if file.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            return;
        }
        process.signal(Signal::CONT);
    }
    panic!("it always writes");
}

/// Waits until a task runs, and is in a step if it has any.
async fn has_begun(client: &Client, tool: &str, id: &str, end: Instant) {
    let mut arguments = json!({"task_id": id});
    loop {
        let seen = client
            .ask(&format!("{tool}_status"), arguments.clone())
            .await;
        let step = seen["progress"]["step"].as_str();
        let begun = match tool {
            "haunted" => step == Some("waits"),
            "staged" => step.is_some(),
            _ => true,
        };
        if begun && seen["status"] == "working" {
            return;
        }
        assert!(Instant::now() < end, "{}", seen.text);
        arguments["since"] = seen["revision"].clone();
        arguments["until"] = json!("step");
        arguments["wait_seconds"] = json!(1);
    }
}

/// What a process did.
fn of(ledger: &Ledger, pid: u32, event: Event) -> Vec<Line> {
    let mut lines = ledger.lines();
    lines.retain(|line| line.pid == pid && line.event == event);
    lines
}
