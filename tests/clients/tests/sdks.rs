//! The clients that come as libraries, each driven by a script.

use std::time::Duration;

use serde_json::Value;

use crate::fixture::{Fixture, PROGRAM};
use crate::install::clients;
use crate::process::run;

/// How long a script may take, interpreter and all.
const LIMIT: Duration = Duration::from_secs(60);

/// What a script said.
#[derive(Debug)]
struct Said(Vec<Value>);

impl Said {
    /// What it said about a part, under a name; in all eras that it played.
    #[track_caller]
    fn about(&self, part: &str, name: &str) -> Vec<&Value> {
        let lines = self.0.iter().filter(|line| line["part"] == part);
        let found: Vec<&Value> = lines.filter_map(|line| line.get(name)).collect();
        assert!(!found.is_empty(), "nothing about {part} {name}: {self:#?}");
        found
    }
}

/// Plays the parts with a client, over both transports.
fn play(script: &str, parts: &[&str], check: impl Fn(&Said)) {
    let Some(clients) = clients() else { return };
    let server = Fixture::start();
    for target in [server.url(), PROGRAM] {
        let mut command = clients.script(script);
        let output = run(command.arg(target).args(parts), LIMIT).stdout();
        let lines = output.lines().map(serde_json::from_str);
        let said = Said(lines.collect::<Result<_, _>>().expect("lines of JSON"));
        for names in said.about("tools", "names") {
            let names = names.as_array().expect("a list");
            for tool in ["slow_compute_initiate", "slow_compute_status"] {
                assert!(names.iter().any(|name| name == tool), "{names:?}");
            }
        }
        check(&said);
    }
}

/// What every client must have made of a family.
#[track_caller]
fn check_family(said: &Said) {
    for task in said.about("family", "ran") {
        assert_eq!(task["status"], "completed", "{task}");
        assert_eq!(task["result"], "family took 1 s", "{task}");
    }
    for task in said.about("family", "stopped") {
        assert_eq!(task["status"], "cancelled", "{task}");
    }
}

/// A client heard of the end of a task that it had subscribed to, and read it.
#[track_caller]
fn check_resource(said: &Said) {
    let uri = said.about("resource", "uri");
    assert_eq!(said.about("resource", "updated"), uri);
    let read = said.about("resource", "read")[0];
    assert_eq!(read["status"], "cancelled", "{read}");
}

/// The text of a tool's result.
fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

/// Numbers of progress grow strictly.
#[track_caller]
fn check_progress(progress: &Value) {
    let numbers = progress.as_array().expect("a list");
    let numbers: Vec<f64> = numbers.iter().filter_map(Value::as_f64).collect();
    assert!(!numbers.is_empty(), "no progress");
    assert!(numbers.windows(2).all(|two| two[0] < two[1]), "{numbers:?}");
}

/// The client was asked what a task asked, as often as said, and the task heard
/// the answers.
#[track_caller]
fn check_questions(said: &Said, results: &[&Value]) {
    for message in said.about("asked", "message") {
        assert_eq!(message, "Delete a.txt?");
    }
    assert_eq!(said.about("asked", "message").len(), results.len());
    for result in results {
        assert_eq!(text(result), "deleted a.txt", "{result}");
    }
}

#[test]
fn typescript_sdk_1() {
    play("ts_v1.mjs", &["family", "resource"], |said| {
        check_family(said);
        check_resource(said);
    });
}

/// The tasks of 2025-11-25.
#[test]
fn typescript_sdk_1_tasks() {
    play("ts_v1.mjs", &["native"], |said| {
        let ran = said.about("native", "ran")[0];
        assert_eq!(ran["seen"][0], "created working", "{ran}");
        assert_eq!(text(&ran["result"]), "native took 1 s", "{ran}");
        check_progress(&ran["progress"]);

        let failed = said.about("native", "failed")[0];
        assert_eq!(failed["seen"][0], "created working", "{failed}");
        assert_eq!(failed["result"]["isError"], true, "{failed}");
        assert!(text(&failed["result"]).contains("always fails"), "{failed}");

        let stopped = said.about("native", "stopped")[0];
        assert_eq!(stopped["answer"]["status"], "cancelled", "{stopped}");
        let seen = stopped["seen"].as_array().expect("a list");
        assert_eq!(seen.last(), Some(&Value::from("cancelled")), "{stopped}");

        check_questions(said, &[&said.about("native", "answered")[0]["result"]]);
    });
}

/// The tasks of 2026-07-28, and the tools as they are for whom that is too
/// much.
#[test]
fn typescript_sdk_2() {
    play(
        "ts_v2.mjs",
        &["family", "resource", "waiting", "native"],
        |said| {
            check_family(said);
            check_resource(said);
            let waited = said.about("waiting", "ran")[0];
            assert_eq!(text(waited), "waiting took 1 s", "{waited}");

            let ran = said.about("native", "ran")[0];
            assert_eq!(ran["kind"], "task", "{ran}");
            assert_eq!(ran["status"], "completed", "{ran}");
            assert_eq!(text(&ran["result"]), "native took 1 s", "{ran}");

            let failed = said.about("native", "failed")[0];
            assert_eq!(failed["status"], "completed", "{failed}");
            assert_eq!(failed["result"]["isError"], true, "{failed}");

            let broke = said.about("native", "broke")[0];
            assert_eq!(broke["status"], "failed", "{broke}");
            assert_eq!(broke["task"]["error"]["code"], -32603, "{broke}");

            let stopped = said.about("native", "stopped")[0];
            assert_eq!(stopped["task"]["status"], "cancelled", "{stopped}");

            let waited = said.about("waiting", "answered")[0];
            let followed = said.about("native", "answered")[0];
            check_questions(said, &[waited, &followed["result"]]);
        },
    );
}

#[test]
fn python_sdk() {
    play(
        "python_sdk.py",
        &["family", "resource", "waiting"],
        |said| {
            let versions = said.about("tools", "version");
            assert_eq!(versions, ["2026-07-28", "2025-11-25"]);
            check_family(said);
            check_resource(said);
            for waited in said.about("waiting", "ran") {
                assert_eq!(text(waited), "waiting took 1 s", "{waited}");
            }
            for progress in said.about("waiting", "progress") {
                check_progress(progress);
            }
            check_questions(said, &said.about("waiting", "answered"));
        },
    );
}

/// The tasks of 2026-07-28.
#[test]
fn fastmcp() {
    play("fastmcp_client.py", &["family", "native"], |said| {
        check_family(said);
        let ran = said.about("native", "ran")[0];
        assert_eq!(text(ran), "native took 1 s", "{ran}");
        for (job, message) in [
            ("failing_job", "this job always fails"),
            ("protocol_error_job", "this job breaks the protocol"),
        ] {
            let failed = said.about("native", job)[0];
            let error = failed["error"].as_str().unwrap_or_default();
            assert!(error.contains(message), "{failed}");
        }
        let stopped = said.about("native", "stopped")[0];
        assert_eq!(stopped["before"], "working", "{stopped}");
        assert_eq!(stopped["after"], "cancelled", "{stopped}");

        check_questions(said, &said.about("native", "answered"));
    });
}
