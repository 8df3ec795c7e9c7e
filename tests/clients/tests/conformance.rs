//! MCP's own conformance suite against the server over HTTP.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::Fixture;
use crate::install::{Clients, clients};
use crate::process::run;

const LIMIT: Duration = Duration::from_secs(60);

/// Versions of the protocol that a scenario is run at.
type Versions = &'static [&'static str];
const OLD: Versions = &["2025-11-25"];
const NEW: Versions = &["2026-07-28"];
const BOTH: Versions = &["2025-11-25", "2026-07-28"];
/// An extension is of no version; the suite takes 2026-07-28.
const EXTENSION: Versions = &["extension"];

const SCENARIOS: &[(&str, Versions)] = &[
    ("server-initialize", OLD),
    ("server-session-lifecycle", OLD),
    ("server-stateless", NEW),
    ("ping", OLD),
    ("http-header-validation", NEW),
    ("dns-rebinding-protection", BOTH),
    ("server-sse-multiple-streams", BOTH),
    ("caching", NEW),
    ("tools-list", BOTH),
    ("tools-call-simple-text", BOTH),
    ("tools-call-image", BOTH),
    ("tools-call-audio", BOTH),
    ("tools-call-embedded-resource", BOTH),
    ("tools-call-mixed-content", BOTH),
    ("tools-call-error", BOTH),
    ("tools-call-with-logging", OLD),
    ("tools-call-sampling", OLD),
    ("tools-call-elicitation", OLD),
    ("resources-list", BOTH),
    ("resources-read-text", BOTH),
    ("resources-read-binary", BOTH),
    ("resources-templates-read", BOTH),
    ("resources-subscribe", OLD),
    ("resources-unsubscribe", OLD),
    ("sep-2164-resource-not-found", NEW),
    ("tools-call-with-progress", BOTH),
    ("tasks-lifecycle", EXTENSION),
    ("tasks-capability-negotiation", EXTENSION),
    ("tasks-wire-fields", EXTENSION),
    ("tasks-request-state-removal", EXTENSION),
    ("tasks-mrtr-input", EXTENSION),
    ("tasks-request-headers", EXTENSION),
    ("tasks-dispatch-and-envelope", EXTENSION),
    ("tasks-required-task-error", EXTENSION),
    ("tasks-mrtr-composition", EXTENSION),
    // Not `tasks-status-notifications`: the suite skips all of it until it
    // listens where notifications are sent.
];

/// Checks that may fail, as `scenario:check`, each with the reason beside it.
/// One that does not fail must go.
const EXPECTED_FAILURES: &[&str] = &[];

#[test]
fn conformance() {
    let Some(clients) = clients() else { return };
    let server = Fixture::start();
    let results = TempDir::new().expect("a directory");
    let runs = SCENARIOS.iter().flat_map(|(scenario, versions)| {
        let run = |version: &&'static str| (*scenario, *version);
        versions.iter().map(run)
    });
    let runs = Mutex::new(runs);
    let failures = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        // They mostly wait.
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let next = runs.lock().expect("no panic").next();
                    let Some((scenario, version)) = next else {
                        break;
                    };
                    let directory = results.path().join(format!("{scenario}-{version}"));
                    let found = failures_of(clients, server.url(), scenario, version, &directory);
                    failures.lock().expect("no panic").extend(found);
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    let names: BTreeSet<&str> = failures.iter().map(|(name, _)| name.as_str()).collect();
    let expected: BTreeSet<&str> = EXPECTED_FAILURES.iter().copied().collect();
    assert_eq!(names, expected, "{failures:#?}");
}

/// The checks of one scenario that failed, with what was wrong. A rule that
/// one only should keep counts as much as others.
fn failures_of(
    clients: &Clients,
    url: &str,
    scenario: &str,
    version: &str,
    directory: &Path,
) -> Vec<(String, String)> {
    let mut command = clients.package("@modelcontextprotocol/conformance/dist/index.js");
    command
        .args(["server", "--url", url, "--scenario", scenario])
        .arg("--output-dir")
        .arg(directory);
    if version != EXTENSION[0] {
        command.args(["--spec-version", version]);
    }
    let finished = run(&mut command, LIMIT);
    let checks = checks(directory);
    let failures: Vec<(String, String)> = checks
        .iter()
        .filter(|check| {
            !matches!(
                check["status"].as_str(),
                Some("SUCCESS" | "INFO" | "SKIPPED")
            )
        })
        .map(|check| {
            let id = check["id"].as_str().unwrap_or_default();
            (format!("{scenario}:{id}"), format!("{version}: {check:#}"))
        })
        .collect();
    let passed = checks.iter().any(|check| check["status"] == "SUCCESS");
    assert!(
        passed || !failures.is_empty(),
        "{scenario} at {version} checked nothing: {finished}"
    );
    failures
}

/// What a run wrote down; nothing if it came to nothing.
fn checks(directory: &Path) -> Vec<Value> {
    let Ok(mut entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let path = entries.next().and_then(Result::ok);
    let text = path.and_then(|run| std::fs::read_to_string(run.path().join("checks.json")).ok());
    text.map(|text| serde_json::from_str(&text).expect("JSON"))
        .unwrap_or_default()
}
