//! What came of telling a notice, where webhooks tell it.
//!
//! Stores keep that as JSON text of whoever tells; this reads what servers with
//! webhooks write, as far as it knows it.

use std::collections::BTreeMap;

use async_tool_runtime::store::{Notice, Timestamp};
use serde::Deserialize;

use crate::output::text::{clean, short};

#[derive(Deserialize)]
struct Deliveries {
    targets: BTreeMap<String, Delivery>,
}

#[derive(Deserialize)]
struct Delivery {
    outcome: String,
    #[serde(default)]
    tries: usize,
    #[serde(default)]
    due: Option<Timestamp>,
    #[serde(default)]
    error: Option<String>,
}

const GIVEN_UP: &str = "given_up";

fn read(notice: &Notice) -> Option<Deliveries> {
    serde_json::from_str(notice.state.as_deref()?).ok()
}

/// Whether somebody was not told, and is not going to be.
pub(in crate::commands) fn is_given_up(notice: &Notice) -> bool {
    read(notice).is_some_and(|it| it.targets.values().any(|it| it.outcome == GIVEN_UP))
}

/// A line for each who is told, without control characters.
pub(super) fn lines(notice: &Notice, now: Timestamp) -> Vec<String> {
    let Some(deliveries) = read(notice) else {
        return Vec::new();
    };
    let lines = deliveries.targets.iter().map(|(name, delivery)| {
        let outcome = delivery.outcome.replace('_', " ");
        let mut line = format!("{name}: {outcome}, {}", tries(delivery.tries));
        if let Some(due) = delivery.due {
            line.push_str(&format!(", again in {}", short(due.since(now))));
        }
        if let Some(error) = &delivery.error {
            line.push_str(&format!(": {error}"));
        }
        clean(&line).into_owned()
    });
    lines.collect()
}

fn tries(tries: usize) -> String {
    match tries {
        1 => "1 try".to_owned(),
        tries => format!("{tries} tries"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(state: &str) -> Notice {
        let mut notice = Notice::default();
        notice.state = Some(state.into());
        notice
    }

    #[test]
    fn each_target_has_a_line() {
        let notice = notice(
            r#"{"targets":{
                "callback":{"outcome":"given_up","tries":8,"at":1,"error":"status \u001b410"},
                "ops":{"outcome":"pending","tries":1,"at":1,"due":64000,"error":"no answer"}
            }}"#,
        );
        assert_eq!(
            lines(&notice, Timestamp(4000)),
            [
                "callback: given up, 8 tries: status \\u{1b}410",
                "ops: pending, 1 try, again in 1m00s: no answer",
            ]
        );
        assert!(is_given_up(&notice));
    }

    #[test]
    fn what_others_write_is_no_delivery() {
        for state in ["", "[]", "{\"targets\":7}", "{\"sent\":true}"] {
            let notice = notice(state);
            assert!(lines(&notice, Timestamp(0)).is_empty() && !is_given_up(&notice));
        }
    }
}
