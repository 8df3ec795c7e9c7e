//! The Inspector's command lines: one that connects for each call, and one that
//! stays connected, which has commands for tasks.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::fixture::{Fixture, PROGRAM};
use crate::install::{Clients, clients};
use crate::process::{Running, run};

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

/// Commands to connections that stay, which a daemon keeps. Each connection
/// does one thing at a time.
struct Connections<'a> {
    clients: &'a Clients,
    home: TempDir,
    _daemon: Running,
}

impl<'a> Connections<'a> {
    fn open(clients: &'a Clients, server: &Fixture, era: &str, names: &[&str]) -> Self {
        let home = TempDir::new().expect("a directory");
        let entry = json!({"type": "streamable-http", "url": server.url()});
        let entries: Map<String, Value> = names
            .iter()
            .map(|name| (name.to_string(), entry.clone()))
            .collect();
        let config = home.path().join("servers.json");
        let text = json!({"mcpServers": entries}).to_string();
        std::fs::write(&config, text).expect("a file");

        // It would start one by itself, which would stay.
        let daemon = Running::start(&mut mcpdo(clients, &home, "mcpdod.js"));
        let started = Instant::now();
        while !home.path().join("mcpdod.sock").exists() {
            assert!(started.elapsed() < LIMIT, "the daemon does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let connections = Self {
            clients,
            home,
            _daemon: daemon,
        };
        for name in names {
            let mut command = mcpdo(clients, &connections.home, "mcp-bin.js");
            command.args(["connect", name, "--era", era, "--config"]);
            run(command.arg(&config), LIMIT).stdout();
        }
        connections
    }

    fn command(&self, connection: &str, arguments: &[&str]) -> Command {
        let mut command = mcpdo(self.clients, &self.home, "mcp-bin.js");
        command
            .args(["--format", "json", "--connection", connection])
            .args(arguments);
        command
    }

    #[track_caller]
    fn ask(&self, connection: &str, arguments: &[&str]) -> Value {
        let output = run(&mut self.command(connection, arguments), LIMIT).stdout();
        serde_json::from_str(&output).expect("JSON")
    }
}

/// A program of the second command line. Nothing of it is kept anywhere else.
fn mcpdo(clients: &Clients, home: &TempDir, program: &str) -> Command {
    let package = "@modelcontextprotocol/inspector/clients/mcpdo/build";
    let mut command = clients.package(&format!("{package}/{program}"));
    command
        .env("HOME", home.path())
        .env("MCP_INSPECTOR_DAEMON_DIR", home.path())
        .env("MCP_INSPECTOR_DAEMON_TOKEN", "of this test");
    command
}

/// The tasks of one version of the protocol.
fn tasks(era: &str) {
    let Some(clients) = clients() else { return };
    let server = Fixture::start();
    let connections = Connections::open(clients, &server, era, &["caller", "watcher"]);
    let call = ["tools/call", "slow_compute", "--task", "--tool-args-json"];

    let arguments = json!({"seconds": 1, "label": era}).to_string();
    let ran = connections.ask("caller", &[&call[..], &[&arguments]].concat());
    assert_eq!(
        ran["content"][0]["text"],
        format!("{era} took 1 s"),
        "{ran}"
    );

    let arguments = json!({"seconds": 600}).to_string();
    let mut long = connections.command("caller", &[&call[..], &[&arguments]].concat());
    let long = Running::start(&mut long);
    let started = Instant::now();
    let id = loop {
        let listed = connections.ask("watcher", &["tools/call", "task_list"]);
        let tasks = &listed["structuredContent"]["tasks"];
        if let Some(task) = tasks.as_array().and_then(|tasks| {
            let mut tasks = tasks.iter();
            tasks.find(|task| task["status"] == "working")
        }) {
            break task["task_id"].as_str().expect("an id").to_owned();
        }
        assert!(started.elapsed() < LIMIT, "no task: {listed}");
    };
    let working = connections.ask("watcher", &["tasks/get", &id]);
    assert_eq!(working["task"]["status"], "working", "{working}");
    connections.ask("watcher", &["tasks/cancel", &id]);
    let stopped = connections.ask("watcher", &["tasks/get", &id]);
    assert_eq!(stopped["task"]["status"], "cancelled", "{stopped}");
    let heard = long.finish(LIMIT);
    assert!(heard.to_string().contains("cancelled"), "{heard}");
}

#[test]
fn inspector_follows_tasks_of_2026_07_28() {
    tasks("modern");
}

#[test]
fn inspector_follows_tasks_of_2025_11_25() {
    tasks("legacy");
}
