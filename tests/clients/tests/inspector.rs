//! The Inspector's command line: one process for each call.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Fixture, PROGRAM};
use crate::install::{Clients, clients};
use crate::process::run;

const LIMIT: Duration = Duration::from_secs(60);

/// The Inspector with a server and an era of the protocol.
struct Inspector<'a> {
    clients: &'a Clients,
    home: TempDir,
    target: &'a [&'a str],
}

impl Inspector<'_> {
    #[track_caller]
    fn method(&self, arguments: &[&str]) -> Value {
        let mut command = self
            .clients
            .package("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
        command
            // It keeps settings and secrets there.
            .env("HOME", self.home.path())
            .arg("--cli")
            .args(self.target)
            .args(["--format", "json", "--quiet"])
            .args(arguments);
        let output = run(&mut command, LIMIT).stdout();
        let mut answer: Value = serde_json::from_str(&output).expect("JSON");
        answer["result"].take()
    }

    #[track_caller]
    fn call(&self, tool: &str, arguments: &Value) -> Value {
        let method = ["--method", "tools/call", "--tool-name", tool];
        let arguments = arguments.to_string();
        let mut answer = self.method(&[&method[..], &["--tool-args-json", &arguments]].concat());
        answer["structuredContent"].take()
    }
}

#[test]
fn inspector_over_http() {
    let Some(clients) = clients() else { return };
    let server = Fixture::start();
    for era in ["legacy", "modern"] {
        let inspector = Inspector {
            clients,
            home: TempDir::new().expect("a directory"),
            target: &[server.url(), "--transport", "http", "--protocol-era", era],
        };
        let listed = inspector.method(&["--method", "tools/list"]);
        let tools = listed["tools"].as_array().expect("a list");
        assert!(
            tools
                .iter()
                .any(|tool| tool["name"] == "slow_compute_initiate")
        );

        // The server remembers between the processes of the client.
        let started = inspector.call(
            "slow_compute_initiate",
            &json!({"seconds": 1, "label": era}),
        );
        let wait = json!({"task_id": started["task_id"], "wait_seconds": 20});
        let ended = inspector.call("slow_compute_status", &wait);
        assert_eq!(ended["result"], format!("{era} took 1 s"), "{ended}");

        let started = inspector.call("slow_compute_initiate", &json!({"seconds": 600}));
        let stopped = inspector.call(
            "slow_compute_cancel",
            &json!({"task_id": started["task_id"]}),
        );
        assert_eq!(stopped["status"], "cancelled", "{stopped}");
    }
}

#[test]
fn inspector_over_stdio() {
    let Some(clients) = clients() else { return };
    let inspector = Inspector {
        clients,
        home: TempDir::new().expect("a directory"),
        target: &[PROGRAM],
    };
    // Each call has a server of its own, which settles what it runs and ends.
    let started = inspector.call("slow_compute_initiate", &json!({"seconds": 600}));
    assert_eq!(started["status"], "working", "{started}");
}
