//! What the program says to whom: exit statuses, errors, and pipes that end.

use std::io;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::program::{Program, bare, run};
use crate::server::{How, initiate, open, queued, serve};

fn program(directory: &TempDir) -> (String, Program) {
    let url = format!("sqlite:{}", directory.path().join("tasks.db").display());
    (url.clone(), Program::on(url, "default"))
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_2() {
    let directory = TempDir::new().expect("a directory");
    let (url, program) = program(&directory);
    let store = open(&url, "default").await;
    queued(&*store).await;
    for (arguments, message) in [
        (&["launch"][..], "unrecognized subcommand 'launch'"),
        (&["show", "nothing"], "a task id is 32 hexadecimal digits"),
        (&["list", "--since", "noon"], "neither a duration"),
        (&["purge"], "which tasks?"),
        (&["--store", "memory:", "list"], "belong to their process"),
    ] {
        let ran = program.run(arguments).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.notes.contains(message), "{arguments:?}: {ran:?}");
    }
    let mut nowhere = bare();
    nowhere.arg("list");
    let ran = run(nowhere).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.notes.contains("which store?"), "{ran:?}");
}

#[tokio::test]
async fn passwords_are_not_told() {
    // Nobody listens there.
    for url in [
        "postgres://ada:hunter2@127.0.0.1:1/tasks",
        "redis://ada:hunter2@127.0.0.1:1",
        "postgres://ada:hunter2@127.0.0.1:port/tasks",
        "mysql://ada:hunter2@127.0.0.1/tasks",
    ] {
        for arguments in [&["list"][..], &["doctor"], &["upgrade", "--json"]] {
            let ran = Program::on(url, "default").run(arguments).await;
            assert_eq!(ran.code, Some(1), "{url}: {ran:?}");
            assert!(ran.notes.starts_with("error: "), "{url}: {ran:?}");
            let said = format!("{}{}", ran.out, ran.notes);
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
    let ran = Program::on("redis://ada:hunter2@127.0.0.1:1", "default")
        .run(&["--help"])
        .await;
    assert!(!ran.out.contains("hunter2"), "{ran:?}");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let directory = TempDir::new().expect("a directory");
    let (url, program) = program(&directory);
    let store = open(&url, "default").await;
    queued(&*store).await;
    for arguments in [
        &["list"][..],
        &["stats", "--json"],
        &["watch"],
        &["doctor", "--quick"],
    ] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let mut command = program.command(arguments);
        command.stdout(writer).stderr(Stdio::piped());
        let ran = command.spawn().expect("it starts").wait_with_output().await;
        let ran = ran.expect("it ends");
        assert_eq!(ran.status.code(), Some(0), "{arguments:?}: {ran:?}");
        assert_eq!(String::from_utf8_lossy(&ran.stderr), "", "{arguments:?}");
    }
}

#[tokio::test]
async fn nobody_is_asked_without_a_terminal() {
    let directory = TempDir::new().expect("a directory");
    let (url, program) = program(&directory);
    let server = serve(&url, "default").await;
    let id = initiate(&server, How::Complete).await;
    server.finish("work", &id).await;
    let ran = program.run(&["purge", &id]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.notes.contains("`--yes`"), "{ran:?}");
    assert_eq!(program.json(&["purge", &id, "--yes"]).await["purged"], 1);
}

/// A program that watches.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(program: &Program, arguments: &[&str]) -> Self {
        let mut command = program.command(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let out = child.stdout.take().expect("a pipe");
        let lines = BufReader::new(out).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = self.lines.next_line().await.expect("text");
        line.expect("another line")
    }

    async fn document(&mut self) -> Value {
        serde_json::from_str(&self.line().await).expect("JSON")
    }
}

#[cfg(unix)]
#[tokio::test]
async fn watching_ends_with_a_signal() {
    use rustix::process::{Pid, Signal, kill_process};

    let directory = TempDir::new().expect("a directory");
    let (url, program) = program(&directory);
    let server = serve(&url, "default").await;
    for (signal, arguments) in [
        (Signal::INT, &["watch", "--json"][..]),
        (Signal::TERM, &["watch", "--json", "--tool", "work"]),
    ] {
        let id = initiate(&server, How::Forever).await;
        let mut watching = Watching::start(&program, arguments);
        let first = watching.document().await;
        assert_eq!(first["event"], "task");
        assert_eq!(first["task"]["task_id"], id);
        server
            .call("work_cancel", serde_json::json!({ "task_id": id }))
            .await;
        let mut last = first;
        while last["task"]["done"] != true {
            last = watching.document().await;
        }
        assert_eq!(last["task"]["status"], "cancelled");
        let pid = watching
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.try_into().ok()?));
        kill_process(pid.expect("an id"), signal).expect("a signal");
        let status = watching.child.wait().await.expect("an end");
        assert_eq!(status.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn watching_behind_a_pipe_gives_lines() {
    let directory = TempDir::new().expect("a directory");
    let (url, program) = program(&directory);
    let server = serve(&url, "default").await;
    let waiting = initiate(&server, How::Forever).await;
    let mut watching = Watching::start(&program, &["watch"]);
    assert!(watching.line().await.contains(&waiting));
    let id = initiate(&server, How::Fail).await;
    let ended = loop {
        let line = watching.line().await;
        if line.contains("  failed  ") {
            break line;
        }
    };
    let expected = format!("{id}  work  failed  no_space: the disk is \\u{{1b}}[31mfull");
    assert!(ended.ends_with(&expected), "{ended}");
}
