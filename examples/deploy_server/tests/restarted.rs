//! Whole servers, in processes of their own, with the tasks in files as usual:
//! killed and restarted, and several of them on one root or on one file.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use async_tool::testing::Answer;
use clap::Parser;
use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::Fixture;
use super::approval::{approval, question};
use super::killed::check_whole;
use super::native::Native;
use crate::{Cli, serve};

/// Holds the arguments of the server, for the process that serves.
const ARGUMENTS: &str = "DEPLOY_SERVER_ARGUMENTS";
/// How long anything may take, on a machine that has a lot to do.
const LONG: Duration = Duration::from_secs(60);

/// The server process of the other tests; by itself it tests nothing.
#[test]
fn serves_until_killed() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let arguments: Vec<PathBuf> = serde_json::from_str(&arguments).unwrap();
    std::thread::spawn(|| {
        // Ends with the test that holds the other end, however that ends.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let cli = Cli::parse_from([PathBuf::from("deploy_server")].iter().chain(&arguments));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(serve(cli)).unwrap();
}

/// Starts a server of `root`, which deploys what is in `in`.
fn start(fixture: &Fixture, root: &str, more: &[&OsStr]) -> Child {
    let directory = fixture.directory.path();
    let (root, artifacts) = (directory.join(root), directory.join("in"));
    fs::create_dir_all(&root).unwrap();
    let mut arguments: Vec<&Path> = vec!["--root".as_ref(), &root];
    arguments.extend::<[&Path; 4]>([
        "--artifacts".as_ref(),
        &artifacts,
        "--lease".as_ref(),
        "500ms".as_ref(),
    ]);
    arguments.extend(more.iter().map(Path::new));
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::restarted::serves_until_killed"])
        .arg("--nocapture")
        .env(ARGUMENTS, serde_json::to_string(&arguments).unwrap())
        .env("RUST_LOG", "info,rmcp=warn")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// A process that serves, and a client of it.
struct Server {
    child: Child,
    url: String,
    client: RunningService<RoleClient, ()>,
    /// Kept open for whatever it may write.
    _log: Lines<BufReader<ChildStderr>>,
}

impl Server {
    async fn start(fixture: &Fixture, root: &str, more: &[&OsStr]) -> Self {
        let mut all: Vec<&OsStr> = vec!["--http".as_ref(), "127.0.0.1:0".as_ref()];
        all.extend(more);
        let mut child = start(fixture, root, &all);
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let found = async {
            let mut seen = Vec::new();
            while let Some(line) = log.next_line().await.unwrap() {
                if let Some((_, url)) = line.split_once("serving http") {
                    return format!("http{url}");
                }
                seen.push(line);
            }
            panic!("it does not serve: {seen:#?}");
        };
        let url = timeout(LONG, found).await.expect("it serves");
        let transport = StreamableHttpClientTransport::from_uri(url.clone());
        let client = ().serve(transport).await.unwrap();
        Self {
            child,
            url,
            client,
            _log: log,
        }
    }

    async fn call(&self, tool: &str, arguments: Value) -> Answer {
        let arguments = arguments.as_object().unwrap().clone();
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let answer = timeout(LONG, self.client.call_tool(params)).await;
        answer.expect("it answers").unwrap().into()
    }

    /// A client that speaks the protocol's tasks.
    async fn native(&self) -> Native {
        Native::connect(StreamableHttpClientTransport::from_uri(self.url.clone())).await
    }

    async fn deploy(&self, script: &str) -> Answer {
        self.deploy_to("test", script).await
    }

    async fn deploy_to(&self, environment: &str, script: &str) -> Answer {
        let arguments = json!({
            "environment": environment, "service": "web", "artifact": "app",
            "health_check": { "command": ["sh", "-c", script], "timeout_seconds": 600 },
        });
        self.call("deploy_initiate", arguments).await
    }

    async fn status(&self, tool: &str, task: &Answer) -> Answer {
        let id = json!({ "task_id": task.id() });
        self.call(&format!("{tool}_status"), id).await
    }

    async fn finish(&self, tool: &str, task: &Answer) -> Answer {
        let wait = json!({ "task_id": task.id(), "wait_seconds": 50 });
        let end = self.call(&format!("{tool}_status"), wait).await;
        assert_eq!(end["status"], "completed", "{}", end.text);
        end
    }

    /// Waits until this attempt of the task asks; what it asks.
    async fn asked(&self, task: &Answer, attempt: u64) -> Value {
        let polling = async {
            loop {
                let now = self.status("deploy", task).await;
                assert_eq!(now["done"], false, "{}", now.text);
                let asks = now["status"] == "input_required";
                if asks && now["attempt"].as_u64().unwrap_or(1) == attempt {
                    return question(&now).clone();
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, polling).await.expect("it asks")
    }

    async fn approve(&self, task: &Answer, question: &Value) {
        let mut answer = approval(true, "");
        answer["task_id"] = task.id().into();
        answer["key"] = question["key"].clone();
        let answered = self.call("deploy_respond", answer).await;
        assert!(!answered.is_error, "{}", answered.text);
    }

    /// As `kill -9` does; returns when it is gone.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A pipe that a health check waits for.
struct Gate(PathBuf);

impl Gate {
    fn new(fixture: &Fixture, name: &str) -> Self {
        let path = fixture.directory.path().join(name);
        let made = Program::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        Self(path)
    }

    /// Waits until a check waits. That goes on when the answer is dropped.
    async fn reached(&self) -> fs::File {
        let (opened, opens) = oneshot::channel();
        let path = self.0.clone();
        // No thread of the runtime, which would wait for it even after a panic.
        std::thread::spawn(move || {
            let _ = opened.send(fs::OpenOptions::new().write(true).open(path));
        });
        let opened = timeout(LONG, opens).await.expect("the check runs");
        opened.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_deployment_survives_the_death_of_its_server() {
    let fixture = Fixture::new();
    let service = fixture.path("");
    let (first, second) = (Gate::new(&fixture, "first"), Gate::new(&fixture, "second"));
    let server = Server::start(&fixture, "root", &[]).await;
    let tasks = fixture.directory.path().join("root/.async-tool");
    assert_eq!(
        tasks.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );

    let task = server.deploy("true").await;
    server.finish("deploy", &task).await;
    fixture.version("1");
    // The version of the second release is checked twice, by whichever server.
    let script = format!(
        "if mkdir '{once}'; then cat '{first}'; else cat '{second}'; fi",
        once = fixture.directory.path().join("once").display(),
        first = first.0.display(),
        second = second.0.display(),
    );
    let deploy = server.deploy(&script).await;
    let checking = first.reached().await;
    let arguments = json!({ "environment": "test", "service": "web" });
    let rollback = server.call("rollback_initiate", arguments).await;
    assert_eq!(rollback["status"], "queued", "{}", rollback.text);
    server.kill().await;
    assert_eq!(check_whole(&service), 1);
    // The check outlives the server; it shall not outlive the test.
    drop(checking);

    let server = Server::start(&fixture, "root", &[]).await;
    let checking = second.reached().await;
    assert_eq!(check_whole(&service), 1);
    let waiting = server.status("rollback", &rollback).await;
    assert_eq!(waiting["status"], "queued", "{}", waiting.text);
    drop(checking);

    let deployed = server.finish("deploy", &deploy).await;
    assert_eq!(deployed["attempt"], 2, "{}", deployed.text);
    assert_eq!(deployed["result"]["release"], 2, "{}", deployed.text);
    assert_eq!(deployed["result"]["replaced"], 1, "{}", deployed.text);
    let back = server.finish("rollback", &rollback).await;
    assert_eq!(back["result"]["replaced"], 2, "{}", back.text);
    assert_eq!(check_whole(&service), 1);
    let expected = ["current", "releases", "releases/1", "releases/2"];
    assert_eq!(fixture.listing(), expected);
}

#[tokio::test]
async fn a_worker_executes_what_a_server_of_the_same_root_accepts() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture, "root", &["--serve-only".as_ref()]).await;
    let task = server.deploy("true").await;
    assert_eq!(task["status"], "queued", "{}", task.text);
    let mut worker = start(&fixture, "root", &["--worker".as_ref()]);
    let end = server.finish("deploy", &task).await;
    assert_eq!(end["result"]["release"], 1, "{}", end.text);
    assert_eq!(check_whole(&fixture.path("")), 1);

    // Another worker takes the place of one that died.
    worker.kill().await.unwrap();
    let task = server.deploy("true").await;
    assert_eq!(task["status"], "queued", "{}", task.text);
    let _worker = start(&fixture, "root", &["--worker".as_ref()]);
    server.finish("deploy", &task).await;
    assert_eq!(check_whole(&fixture.path("")), 2);
}

#[tokio::test]
async fn servers_of_different_roots_do_not_meet_in_one_file() {
    let fixture = Fixture::new();
    let store = format!(
        "sqlite:{}",
        fixture.directory.path().join("tasks").display()
    );
    let store: [&OsStr; 2] = ["--store".as_ref(), store.as_ref()];
    let waiting = [&store[..], &["--serve-only".as_ref()]].concat();
    let ours = Server::start(&fixture, "root", &waiting).await;
    let theirs = Server::start(&fixture, "other", &store).await;

    let task = ours.deploy("true").await;
    // Whoever executes everything has executed the older one first.
    let other = theirs.deploy("true").await;
    theirs.finish("deploy", &other).await;
    let still = ours.status("deploy", &task).await;
    assert_eq!(still["status"], "queued", "{}", still.text);
    let unknown = theirs.status("deploy", &task).await;
    assert_eq!(
        unknown.error_code(),
        Some("task_not_found"),
        "{}",
        unknown.text
    );
    assert!(!fixture.path("").exists());
    check_whole(&fixture.directory.path().join("other/test/web"));

    let mut worker = store.to_vec();
    worker.push("--worker".as_ref());
    let _worker = start(&fixture, "root", &worker);
    ours.finish("deploy", &task).await;
    assert_eq!(check_whole(&fixture.path("")), 1);
}

/// What is asked before release 2 of a service in production becomes live.
async fn waiting(fixture: &Fixture, server: &Server) -> (Answer, Value) {
    let first = server.deploy_to("production", "true").await;
    let asked = server.asked(&first, 1).await;
    server.approve(&first, &asked).await;
    server.finish("deploy", &first).await;
    fixture.version("1");
    let second = server.deploy_to("production", "true").await;
    let asked = server.asked(&second, 1).await;
    (second, asked)
}

#[tokio::test]
async fn an_approval_counts_that_is_given_while_nobody_deploys() {
    let fixture = Fixture::of("production");
    let server = Server::start(&fixture, "root", &[]).await;
    let (task, asked) = waiting(&fixture, &server).await;
    server.kill().await;

    let server = Server::start(&fixture, "root", &["--serve-only".as_ref()]).await;
    server.approve(&task, &asked).await;
    assert_eq!(check_whole(&fixture.path("")), 1);
    let _worker = start(&fixture, "root", &["--worker".as_ref()]);
    let end = server.finish("deploy", &task).await;
    assert_eq!(end["attempt"], 2, "{}", end.text);
    assert_eq!(end["result"]["release"], 2, "{}", end.text);
    assert_eq!(check_whole(&fixture.path("")), 2);
    let expected = ["current", "releases", "releases/1", "releases/2"];
    assert_eq!(fixture.listing(), expected);
}

#[tokio::test]
async fn a_question_outlives_whoever_asked_it() {
    let fixture = Fixture::of("production");
    let server = Server::start(&fixture, "root", &[]).await;
    let (task, before) = waiting(&fixture, &server).await;
    server.kill().await;

    let server = Server::start(&fixture, "root", &["--serve-only".as_ref()]).await;
    let _worker = start(&fixture, "root", &["--worker".as_ref()]);
    let after = server.asked(&task, 2).await;
    assert_eq!(before, after);
    assert_eq!(check_whole(&fixture.path("")), 1);
    let (client, key) = (server.native().await, after["key"].as_str().unwrap());
    client.answer(task.id(), key, approval(true, "")).await;
    let end = client.finish(task.id()).await;
    assert_eq!(end["structuredContent"]["release"], 2, "{end}");
    assert_eq!(check_whole(&fixture.path("")), 2);
    let expected = ["current", "releases", "releases/1", "releases/2"];
    assert_eq!(fixture.listing(), expected);
}

#[tokio::test]
async fn whoever_goes_on_hears_a_no_that_was_given_meanwhile() {
    let fixture = Fixture::of("production");
    let server = Server::start(&fixture, "root", &[]).await;
    let (task, asked) = waiting(&fixture, &server).await;
    server.kill().await;

    let server = Server::start(&fixture, "root", &["--serve-only".as_ref()]).await;
    let (client, key) = (server.native().await, asked["key"].as_str().unwrap());
    client
        .answer(task.id(), key, json!({ "action": "decline" }))
        .await;
    let _worker = start(&fixture, "root", &["--worker".as_ref()]);
    let end = client.finish(task.id()).await;
    assert!(end.to_string().contains("not_approved"), "{end}");
    assert_eq!(check_whole(&fixture.path("")), 1);
    assert_eq!(fixture.listing(), ["current", "releases", "releases/1"]);
}
