//! What a message says.

use serde::Serialize;

use super::event::Event;
use crate::catalog::Entry;
use crate::engine::View;
use crate::server::Snapshot;
use crate::store::Outcome;
use crate::task::{Status, TaskId, Timestamp};

/// Largest body, in bytes.
const LARGEST: usize = 256 * 1024;

/// A message as Standard Webhooks recommends it.
#[derive(Serialize)]
struct Body<D> {
    #[serde(rename = "type")]
    event: &'static str,
    timestamp: String,
    data: D,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// What is left of a snapshot that is too large.
#[derive(Serialize)]
struct Rest<'a> {
    task_id: TaskId,
    tool: &'a str,
    status: Status,
    done: bool,
}

/// The body of the message about an event of this time.
pub(super) fn body(
    event: Event,
    at: Timestamp,
    view: &View,
    entry: Option<&Entry>,
    include_result: bool,
) -> String {
    let record = &view.record;
    let result = match &record.outcome {
        Some(Outcome::Completed(result)) if include_result => result.len(),
        _ => 0,
    };
    let fits = result <= LARGEST;
    for with_result in [include_result && fits, false] {
        let data = Snapshot::of(view, with_result)
            .listed(view)
            .asking(view, entry);
        let truncated = include_result && !with_result && result > 0;
        let body = text(event, at, data, truncated);
        if body.len() <= LARGEST {
            return body;
        }
    }
    let rest = Rest {
        task_id: record.id,
        tool: &record.tool,
        status: record.status,
        done: view.is_done(),
    };
    text(event, at, rest, true)
}

fn text(event: Event, at: Timestamp, data: impl Serialize, truncated: bool) -> String {
    let body = Body {
        event: event.as_str(),
        timestamp: at.to_string(),
        data,
        truncated,
    };
    // Strings, numbers and JSON: it cannot fail.
    serde_json::to_string(&body).unwrap_or_default()
}
