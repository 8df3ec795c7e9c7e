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

#[test]
fn typescript_sdk_1() {
    play("ts_v1.mjs", &["family"], check_family);
}

#[test]
fn typescript_sdk_2() {
    play("ts_v2.mjs", &["family"], check_family);
}

#[test]
fn python_sdk() {
    play("python_sdk.py", &["family"], |said| {
        let versions = said.about("tools", "version");
        assert_eq!(versions, ["2026-07-28", "2025-11-25"]);
        check_family(said);
    });
}

#[test]
fn fastmcp() {
    play("fastmcp_client.py", &["family"], check_family);
}
