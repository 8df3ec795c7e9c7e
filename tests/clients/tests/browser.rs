//! The dashboard in headless Chromium, driven by a script; what a picture shows
//! is for people to look at, in the directory `dashboard` of the target directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::Served;
use crate::install::clients;
use crate::process::run;

/// How long a script may take, browser and all.
const LIMIT: Duration = Duration::from_secs(180);

/// The browser, which the system must have where clients are wanted.
fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut files =
        std::env::split_paths(&path).flat_map(|directory| names.map(|it| directory.join(it)));
    files
        .find(|file| file.is_file())
        .expect("the dashboard's tests need Chromium: install the package `chromium`")
}

/// Plays parts of the script against a server of their own; what it said.
fn play(parts: &[&str]) -> Option<Vec<Value>> {
    let clients = clients()?;
    let server = Served::start(env!("CARGO_BIN_EXE_dashboard_fixture"), &[]);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
    std::fs::create_dir_all(&pictures).expect("a directory");
    let mut command = clients.script("dashboard.mjs");
    command
        .arg(server.url())
        .arg(chromium())
        .arg(pictures)
        .args(parts);
    let output = run(&mut command, LIMIT).stdout();
    let lines = output.lines().map(serde_json::from_str);
    let said: Vec<Value> = lines.collect::<Result<_, _>>().expect("lines of JSON");
    for line in &said {
        for name in ["wrong", "violations"] {
            let found = line[name].as_array().map_or(0, Vec::len);
            assert_eq!(found, 0, "{line:#}");
        }
        assert_ne!(line["wide"], true, "it does not fit its window: {line}");
    }
    Some(said)
}

/// What was said under a name, once.
#[track_caller]
fn about<'a>(said: &'a [Value], name: &str) -> &'a Value {
    let mut found = said.iter().filter(|line| line.get(name).is_some());
    let line = found
        .next()
        .unwrap_or_else(|| panic!("nothing about {name}: {said:#?}"));
    assert!(found.next().is_none(), "more than once: {name}");
    line
}

#[test]
fn rows_and_bars_appear_and_move_without_loading_anything_again() {
    let Some(said) = play(&["live"]) else { return };
    let live = about(&said, "seen");
    assert_eq!(live["seen"]["same"], true, "{live}");
    assert_eq!(live["seen"]["focused"], true, "{live}");
    let message = live["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("compiling engine-"), "{live}");
    let group = live["seen"]["group"].as_str().unwrap_or_default();
    assert!(group.starts_with("Ended"), "{live}");
}

#[test]
fn a_task_has_a_timeline_and_is_cancelled_by_keyboard() {
    let Some(said) = play(&["task"]) else { return };
    let attempts = &about(&said, "attempts")["attempts"];
    let ends: Vec<&Value> = (0..3).map(|number| &attempts[number]["end"]).collect();
    assert_eq!(ends, ["retried", "retried", "completed"]);
    let steps = json!(["upload from an earlier attempt", "switch 2"]);
    assert_eq!(attempts[1]["steps"], steps);
    for attempt in attempts.as_array().expect("a list") {
        let bars = attempt["bars"].as_array().expect("a list");
        let longest = bars.iter().filter_map(Value::as_f64).fold(0.0, f64::max);
        assert!(longest > 50.0, "a bar is seen: {attempt}");
    }
    let failed = about(&said, "error");
    assert_eq!(
        failed["error"],
        "linker_failed undefined symbol: engine_main"
    );
    assert_eq!(failed["log"], 4);
    let cancelled = about(&said, "cancelled");
    assert_eq!(cancelled["cancelled"], "cancelled", "{cancelled}");
    assert_eq!(cancelled["reason"], "by keyboard", "{cancelled}");
    assert_eq!(cancelled["shown"], "by keyboard", "{cancelled}");
    assert_ne!(
        cancelled["focused"], "BODY",
        "the focus is lost: {cancelled}"
    );
}

#[test]
fn what_a_task_says_is_never_more_than_text() {
    let Some(said) = play(&["hostile"]) else {
        return;
    };
    let hostile = about(&said, "made");
    assert_eq!(hostile["made"], 0, "{hostile}");
    assert_eq!(hostile["error"], true, "{hostile}");
}

#[test]
fn tasks_are_filtered_by_tool_and_status() {
    let Some(said) = play(&["filter"]) else {
        return;
    };
    let filtered = about(&said, "tools");
    assert_eq!(filtered["tools"], json!(["deploy"]), "{filtered}");
    assert_eq!(filtered["other"], false, "{filtered}");
}

#[test]
fn durations_and_failures_are_drawn_and_told() {
    let Some(said) = play(&["tools"]) else { return };
    let tools = about(&said, "axes");
    assert_eq!(tools["failed"], 7, "{tools}");
    let label = tools["labels"][0].as_str().unwrap_or_default();
    assert!(
        label.contains("60 tasks") && label.contains("failure rate 12 %"),
        "{label}"
    );
    let axes = tools["axes"].as_array().expect("a list");
    for name in ["duration", "tasks", "median", "95 %"] {
        assert!(axes.iter().any(|it| it == name), "{name}: {axes:?}");
    }
    assert!(tools["lines"].as_u64() > Some(0), "{tools}");
}

#[test]
fn it_is_readable_on_a_desk_on_a_phone_and_in_the_dark() {
    let Some(said) = play(&["tools", "looks"]) else {
        return;
    };
    let colour = |name: &str| {
        said.iter()
            .find(|line| line["colour"] == name)
            .map(|line| &line["is"])
    };
    assert_ne!(colour("desktop"), colour("dark"));
    assert_eq!(colour("dark"), colour("phone-dark"));
}

#[test]
fn one_browser_too_many_looks_now_and_then() {
    let Some(said) = play(&["streams"]) else {
        return;
    };
    assert_eq!(about(&said, "seen")["seen"], true);
}
