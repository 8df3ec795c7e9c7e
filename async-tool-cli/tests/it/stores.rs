//! All that operators do, on each store.

use std::time::Duration;

use tempfile::TempDir;

use crate::program::Program;
use crate::server::{How, abandoned, initiate, open, queued, serve};

/// What holds for every store.
async fn tour(url: &str) {
    looks(url).await;
    acts(url).await;
    examines(url).await;
}

async fn looks(url: &str) {
    let server = serve(url, "looks").await;
    let program = Program::on(url, "looks");
    let completed = initiate(&server, How::Complete).await;
    server.finish("work", &completed).await;
    let failed = initiate(&server, How::Fail).await;
    server.finish("work", &failed).await;
    let working = initiate(&server, How::Forever).await;

    let list = program.json(&["list"]).await;
    let ids: Vec<_> = (0..3)
        .map(|at| list["tasks"][at]["task_id"].as_str())
        .collect();
    assert_eq!(ids, [Some(&*working), Some(&*failed), Some(&*completed)]);
    let list = program
        .json(&["list", "--status", "failed,cancelled", "--since", "1h"])
        .await;
    assert_eq!(list["tasks"][0]["error"]["code"], "no_space");
    assert_eq!(list["tasks"][1], serde_json::Value::Null);
    let page = program.json(&["list", "--limit", "2"]).await;
    let next = page["next"].as_str().expect("there is more");
    let page = program.json(&["list", "--after", next]).await;
    assert_eq!(page["tasks"][0]["task_id"], completed);
    assert_eq!(page["next"], serde_json::Value::Null);

    let shown = program.run(&["show", &completed, "--json"]).await;
    assert!(!shown.out.contains("top secret"), "{shown:?}");
    let shown = shown.document();
    assert_eq!(shown["task"]["status"], "completed");
    assert_eq!(shown["timeline"][0]["end"], "completed");
    let steps = shown["timeline"][0]["steps"].as_array().expect("steps");
    let names: Vec<_> = steps.iter().map(|step| step["name"].as_str()).collect();
    assert_eq!(names, [Some("prepare"), Some("count")]);
    assert_eq!(shown["log"][0]["text"], "ready \u{1b}[2J");
    let shown = program.json(&["show", &completed, "--result"]).await;
    assert_eq!(shown["result"], "top secret");
    for id in [&completed, &failed] {
        let text = program.run(&["show", id, "--result"]).await;
        assert_eq!(text.code, Some(0), "{text:?}");
        assert!(!text.out.contains('\x1b'), "{text:?}");
    }

    let stats = program.json(&["stats"]).await;
    assert_eq!(
        [&stats["running"], &stats["queued"], &stats["records"]],
        [1, 0, 3]
    );
    assert_eq!(stats["sessions"][0]["owned"], 1);
    assert_eq!(stats["sessions"][0]["lease_seconds"], 15.0);
    let namespaces = program.json(&["namespaces"]).await;
    let named = namespaces["namespaces"].as_array().expect("a list");
    let here = named.iter().find(|it| it["namespace"] == "looks");
    assert_eq!(here.expect("this one")["records"], 3);

    let elsewhere = Program::on(url, "elsewhere").run(&["list"]).await;
    assert_eq!(elsewhere.code, Some(0), "{elsewhere:?}");
    assert!(
        elsewhere.notes.contains("there are tasks in `looks`"),
        "{elsewhere:?}"
    );
    let elsewhere = Program::on(url, "elsewhere").run(&["show", &working]).await;
    assert_eq!(elsewhere.code, Some(1), "{elsewhere:?}");
}

async fn acts(url: &str) {
    let server = serve(url, "acts").await;
    let program = Program::on(url, "acts");
    let id = initiate(&server, How::Forever).await;
    let left = program.run(&["purge", &id, "--yes", "--json"]).await;
    assert_eq!(left.code, Some(1), "{left:?}");
    assert_eq!(left.document()["left"][0]["why"], "not_ended");
    let answer = program
        .json(&["cancel", &id, "--reason", "the disk is full"])
        .await;
    assert_eq!(answer["tasks"][0]["came_to"], "asked");
    let end = server.finish("work", &id).await;
    assert_eq!(end["status"], "cancelled");
    assert_eq!(end["message"], "the disk is full");
    let answer = program.json(&["cancel", &id]).await;
    assert_eq!(answer["tasks"][0]["came_to"], "ended_before");
    let nobody = program
        .json(&["purge", "--older-than", "1h", "--yes"])
        .await;
    assert_eq!(nobody["purged"], 0);
    let purged = program.json(&["purge", "--tool", "work", "--yes"]).await;
    assert_eq!(purged["purged"], 1);
    let gone = program.run(&["cancel", &id]).await;
    assert_eq!(gone.code, Some(1), "{gone:?}");
}

async fn examines(url: &str) {
    let namespace = "examines";
    let program = Program::on(url, namespace);
    let server = serve(url, namespace).await;
    initiate(&server, How::Forever).await;
    let well = program.json(&["doctor"]).await;
    let errors = |findings: &serde_json::Value| {
        let findings = findings.as_array().expect("a list");
        let errors = findings.iter().filter(|it| it["level"] == "error");
        errors.map(|it| it["code"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(errors(&well["findings"]), [""; 0], "{well}");
    assert_eq!(well["namespaces"][0]["namespace"], namespace);

    let forsaken = "forsaken";
    let store = open(url, forsaken).await;
    abandoned(&*store, Duration::from_millis(300)).await;
    queued(&*store).await;
    let program = Program::on(url, forsaken);
    let quick = program.json(&["doctor", "--quick"]).await;
    assert_eq!(errors(&quick["findings"]), [""; 0], "{quick}");
    let ran = program.run(&["doctor", "--json"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let findings = &ran.document()["findings"];
    assert_eq!(errors(findings), ["\"stuck_session\""], "{findings}");
    let text = program.run(&["doctor"]).await;
    assert!(text.out.contains("\n  do: any living worker"), "{text:?}");
}

#[tokio::test]
async fn sqlite() {
    let directory = TempDir::new().expect("a directory");
    tour(&format!(
        "sqlite:{}",
        directory.path().join("tasks.db").display()
    ))
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn postgres() {
    let Some(server) = servers::Postgres::start(&["fsync=off"]) else {
        return;
    };
    let (url, program) = (server.url(), Program::on(server.url(), "default"));
    let nothing = program.run(&["list"]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(
        nothing.notes.contains("nothing of async-tool"),
        "{nothing:?}"
    );
    let nothing = program.run(&["doctor", "--json"]).await;
    assert_eq!(nothing.document()["findings"][0]["code"], "no_schema");
    assert_eq!(program.json(&["upgrade"]).await["changed"], true);
    tour(&url).await;
    weak(&program, "`fsync` is off").await;
}

#[cfg(unix)]
#[tokio::test]
async fn redis() {
    let Some(server) = servers::Redis::start(&[]) else {
        return;
    };
    tour(&server.url()).await;
    weak(&Program::on(server.url(), "default"), "appendfsync").await;
    let evicts = servers::Redis::start(&["--maxmemory-policy", "allkeys-lru"]);
    let evicts = evicts.expect("another one");
    let program = Program::on(evicts.url(), "default");
    let ran = program.run(&["doctor", "--json"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let findings = &ran.document()["findings"];
    let codes: Vec<_> = findings
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| &it["code"])
        .collect();
    assert!(codes.contains(&&"unusable".into()), "{findings}");
}

/// Settings that weaken what is promised are told, and count if asked.
#[cfg(unix)]
async fn weak(program: &Program, setting: &str) {
    let ran = program.run(&["doctor", "--quick"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.contains("\nwarning: ") && ran.out.contains(setting),
        "{ran:?}"
    );
    let ran = program.run(&["doctor", "--quick", "--strict"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
}
