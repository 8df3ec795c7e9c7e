//! Webhooks, verified by others' implementations of Standard Webhooks: a Python
//! one that receives them over HTTPS, and a JavaScript one.

use std::time::Duration;

use serde_json::Value;

use crate::fixture::PROGRAM;
use crate::install::clients;
use crate::process::run;

/// How long a script may take, interpreter and all.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn standard_webhooks() {
    let Some(clients) = clients() else { return };
    let received = run(clients.script("webhooks.py").arg(PROGRAM), LIMIT).stdout();
    let received: Value = serde_json::from_str(&received).expect("a line of JSON");
    let judged = run(
        clients.script("webhooks.mjs").arg(received.to_string()),
        LIMIT,
    )
    .stdout();
    let judged: Value = serde_json::from_str(&judged).expect("a line of JSON");
    for verdicts in [&received, &judged] {
        // Either of two secrets will do, and no other; what was changed does not pass.
        assert_eq!(verdicts["old"], true, "{verdicts}");
        assert_eq!(verdicts["new"], true, "{verdicts}");
        assert_eq!(verdicts["other"], false, "{verdicts}");
        assert_eq!(verdicts["forged"], false, "{verdicts}");
    }
    assert_eq!(received["renamed"], false, "{received}");

    let body = received["body"].as_str().expect("text");
    assert!(
        body.contains("completed"),
        "there was something to forge: {body}"
    );
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["type"], "task.completed");
    assert_eq!(body["data"]["task_id"], received["task"]);
}
