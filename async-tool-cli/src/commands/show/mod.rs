//! `show`: all about one task.

pub(super) mod deliveries;
mod people;
mod timeline;

use async_tool_runtime::store::{History, LogLine, Outcome, StepRecord, TaskRecord, Timestamp};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Place;
use crate::args::ShowArgs;
use crate::failure::{Failure, Verdict};
use crate::output::Out;
use crate::view::{Moment, TaskView, failure, raw};
use timeline::AttemptView;

/// What is known of a task.
struct Known {
    namespace: String,
    at: Timestamp,
    record: TaskRecord,
    history: History,
    steps: Vec<StepRecord>,
    log: Vec<LogLine>,
}

#[derive(Serialize)]
struct Document<'a> {
    namespace: &'a str,
    at: Moment,
    task: TaskView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_details: Option<&'a Value>,
    timeline: Vec<AttemptView<'a>>,
    omitted_attempts: u32,
    steps: Vec<StepView<'a>>,
    log: Vec<LineView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    has_callback: bool,
}

#[derive(Serialize)]
struct StepView<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct LineView<'a> {
    at: Moment,
    text: &'a str,
}

impl<'a> Document<'a> {
    fn of(known: &'a Known, with_result: bool) -> Self {
        let record = &known.record;
        let details = failure(record).and_then(|failure| failure.details.as_ref());
        let steps = known.steps.iter().map(|step| StepView {
            name: &step.name,
            result: with_result.then(|| raw(&step.result)),
        });
        let log = known.log.iter().map(|line| LineView {
            at: Moment(line.at),
            text: &line.text,
        });
        Self {
            namespace: &known.namespace,
            at: Moment(known.at),
            task: TaskView::of(record),
            result: result(record).filter(|_| with_result).map(raw),
            error_details: details.filter(|_| with_result),
            timeline: timeline::views(&known.history),
            omitted_attempts: known.history.omitted,
            steps: steps.collect(),
            log: log.collect(),
            traceparent: traceparent(record),
            has_callback: has_callback(record),
        }
    }
}

pub(super) async fn run(
    place: &Place,
    args: &ShowArgs,
    out: &mut Out<'_>,
) -> Result<Verdict, Failure> {
    let Some(record) = place.store.get(args.id).await? else {
        return Err(Failure::Unfit(format!(
            "there is no task {} in the namespace `{}`; it may have expired, or belong to another \
             namespace",
            args.id, place.namespace
        )));
    };
    let known = Known {
        namespace: place.namespace.clone(),
        at: place.store.stats().await?.at,
        steps: place.store.steps(args.id).await?,
        log: place.store.log(args.id, args.log).await?,
        history: History::of(&record),
        record,
    };
    if out.json {
        out.json(&Document::of(&known, args.result))?;
    } else {
        people::tell(&known, args.result, out)?;
    }
    Ok(Verdict::Well)
}

/// The JSON text of a result.
fn result(record: &TaskRecord) -> Option<&str> {
    match &record.outcome {
        Some(Outcome::Completed(result)) => Some(result),
        _ => None,
    }
}

fn traceparent(record: &TaskRecord) -> Option<&str> {
    record.origin.as_deref()?.traceparent.as_deref()
}

/// Where the caller wants to be told is not shown: there may be a secret in it.
fn has_callback(record: &TaskRecord) -> bool {
    let origin = record.origin.as_deref();
    origin.is_some_and(|origin| origin.callback_url.is_some())
}

#[cfg(test)]
mod tests {
    use async_tool_runtime::TaskId;
    use async_tool_runtime::store::{Lease, ProgressState, Report};
    use serde_json::json;

    use super::super::testing::{completed, empty, task};
    use super::*;
    use crate::output::{Written, written};

    async fn shown(place: &Place, id: TaskId, result: bool, json: bool) -> Written {
        let args = ShowArgs {
            id,
            result,
            log: 20,
        };
        let (done, text) = written(json, async |out| run(place, &args, out).await).await;
        assert_eq!(done.expect("shown"), Verdict::Well);
        text
    }

    /// A task at work, with a step, progress and a line of log.
    async fn busy(place: &Place) -> (TaskRecord, Lease) {
        place.create(task("build")).await;
        let (record, lease) = place.claim("build").await;
        let step = StepRecord::new("fetch", "{\"secret\":8}");
        let recorded = place.store.record_step(record.id, record.epoch, step).await;
        recorded.expect("an answer").expect("recorded");
        let progress: ProgressState = serde_json::from_value(json!({
            "fraction": 0.5, "current": 1, "total": 2, "step": "compile", "step_number": 2,
            "step_count": 3, "message": "compiling serde",
        }))
        .expect("progress");
        let mut report = Report::new(record.id, record.epoch, 1, progress, 4);
        report.log = vec![LogLine::new(1, Timestamp(1000), "went \x1b[31mwell")];
        place.store.beat(lease, vec![report]).await.expect("a beat");
        (record, lease)
    }

    #[tokio::test]
    async fn programs_get_everything_but_secrets() {
        let place = empty().await;
        let (record, _) = busy(&place).await;
        let document = shown(&place, record.id, false, true).await.document();
        assert_eq!(document["task"]["progress"]["fraction"], 0.5);
        assert_eq!(document["task"]["message"], "compiling serde");
        assert_eq!(document["steps"], json!([{ "name": "fetch" }]));
        assert_eq!(
            document["log"],
            json!([{ "at": "1970-01-01T00:00:01.000Z", "text": "went \u{1b}[31mwell" }])
        );
        assert_eq!(document["timeline"][0]["attempt"], 1);
        assert_eq!(document["task"]["session"].as_str().map(str::len), Some(32));

        place.end(&record, completed()).await;
        let hidden = shown(&place, record.id, false, true).await;
        assert!(!hidden.out.contains("secret"), "{}", hidden.out);
        let document = shown(&place, record.id, true, true).await.document();
        assert_eq!(document["result"], json!({ "secret": 7 }));
    }

    #[tokio::test]
    async fn people_get_lines() {
        let place = empty().await;
        let (record, _) = busy(&place).await;
        let text = shown(&place, record.id, false, false).await.out;
        for line in [
            "status     working, attempt 1 of 1",
            "progress   [==========>         ] 50 %, 1 of 2, step 2 of 3: compile",
            "message    compiling serde",
            "steps      fetch",
            "timeline",
            "log",
            "  1970-01-01T00:00:01.000Z  went \\u{1b}[31mwell",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in:\n{text}");
        }
        assert!(!text.contains("secret"), "{text}");
        let text = shown(&place, record.id, true, false).await.out;
        assert!(text.contains("fetch: {\"secret\":8}"), "{text}");
    }

    #[tokio::test]
    async fn an_unknown_task_is_not_found() {
        let place = empty().await;
        let args = ShowArgs {
            id: TaskId::random(),
            result: false,
            log: 0,
        };
        let (done, _) = written(true, async |out| run(&place, &args, out).await).await;
        let failure = done.expect_err("nothing").to_string();
        assert!(failure.contains("in the namespace `default`"), "{failure}");
    }
}
