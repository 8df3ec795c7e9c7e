//! A task, to people.

use std::io;

use async_tool_runtime::Principal;
use async_tool_runtime::store::{Notice, StepRecord, TaskRecord, Timestamp};

use super::{Known, deliveries, has_callback, result, timeline, traceparent};
use crate::output::text::{bar, clean, percent, short};
use crate::output::{Out, Paint};
use crate::view::{cancel_reason, expires, failure, paint, session_text};

/// Columns of a bar.
const BAR: usize = 22;

pub(super) fn tell(known: &Known, with_result: bool, out: &mut Out<'_>) -> io::Result<()> {
    let record = &known.record;
    let mut lines = Lines { out };
    lines.field("task", &record.id.to_string())?;
    lines.field("namespace", &known.namespace)?;
    lines.field("tool", &record.tool)?;
    lines.optional(
        "principal",
        record.principal.as_ref().map(Principal::as_str),
    )?;
    status(record, &mut lines)?;
    moments(record, known.at, &mut lines)?;
    lines.optional("session", record.owner.map(session_text).as_deref())?;
    progress(record, &mut lines)?;
    end(record, with_result, &mut lines)?;
    questions(record, &mut lines)?;
    keys(record, &mut lines)?;
    lines.optional("trace", traceparent(record))?;
    notice(record, known.at, &mut lines)?;
    steps(&known.steps, with_result, &mut lines)?;
    lines.list("timeline", timeline::lines(&known.history, known.at))?;
    let log = known.log.iter();
    let log = log.map(|line| format!("{}  {}", line.at, clean(&line.text)));
    lines.list("log", log.collect())
}

/// Names and values, one beneath the other.
struct Lines<'a, 'b> {
    out: &'a mut Out<'b>,
}

impl Lines<'_, '_> {
    fn field(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.painted(name, value, Paint::Plain)
    }

    fn optional(&mut self, name: &str, value: Option<&str>) -> io::Result<()> {
        value.map_or(Ok(()), |value| self.field(name, value))
    }

    /// Lines below a name, without control characters; nothing if there are none.
    fn list(&mut self, name: &str, lines: Vec<String>) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.field(name, "")?;
        for line in lines {
            self.out.line(format_args!("  {line}"))?;
        }
        Ok(())
    }

    fn painted(&mut self, name: &str, value: &str, paint: Paint) -> io::Result<()> {
        let look = self.out.look;
        let name = look.paint(Paint::Head, &format!("{name:<9}"));
        let value = look.paint(paint, &clean(value));
        let line = format!("{name}  {value}");
        self.out.line(line.trim_end())
    }
}

fn status(record: &TaskRecord, lines: &mut Lines<'_, '_>) -> io::Result<()> {
    let status = record.status;
    let attempt = match record.attempt {
        0 => String::new(),
        attempt => format!(
            ", attempt {attempt} of {}",
            record.max_attempts.max(attempt)
        ),
    };
    let stopping = match record.cancel {
        Some(_) if !status.is_terminal() => ", was asked to stop",
        _ => "",
    };
    let text = format!("{status}{attempt}{stopping}");
    lines.painted("status", &text, paint(status))?;
    let reason = cancel_reason(record).filter(|reason| !reason.is_empty());
    lines.optional("reason", reason)
}

fn moments(record: &TaskRecord, now: Timestamp, lines: &mut Lines<'_, '_>) -> io::Result<()> {
    lines.field("created", &past(record.created_at, now))?;
    if let Some(started) = record.started_at {
        lines.field("started", &past(started, now))?;
    }
    match (record.finished_at, expires(record)) {
        (Some(finished), Some(expires)) => {
            let from = record.started_at.unwrap_or(record.created_at);
            let took = short(finished.since(from));
            lines.field("finished", &format!("{}, took {took}", past(finished, now)))?;
            lines.field("expires", &future(expires, now))
        }
        _ => {
            if let Some(moment) = record.not_before {
                lines.field("again", &future(moment, now))?;
            }
            lines.field("deadline", &future(record.deadline, now))
        }
    }
}

fn past(moment: Timestamp, now: Timestamp) -> String {
    format!("{moment}, {} ago", short(now.since(moment)))
}

fn future(moment: Timestamp, now: Timestamp) -> String {
    if moment <= now {
        return format!("{moment}, which has passed");
    }
    format!("{moment}, in {}", short(moment.since(now)))
}

fn progress(record: &TaskRecord, lines: &mut Lines<'_, '_>) -> io::Result<()> {
    let Some(progress) = record.progress.as_deref() else {
        return Ok(());
    };
    let mut parts = Vec::new();
    if let Some(fraction) = progress.fraction {
        parts.push(format!("{} {}", bar(fraction, BAR), percent(fraction)));
    }
    match (progress.current, progress.total) {
        (Some(current), Some(total)) => parts.push(format!("{current} of {total}")),
        (Some(current), None) if current > 0 => parts.push(current.to_string()),
        _ => {}
    }
    if let (Some(step), Some(number), Some(count)) =
        (&progress.step, progress.step_number, progress.step_count)
    {
        parts.push(format!("step {number} of {count}: {step}"));
    }
    if !parts.is_empty() {
        lines.field("progress", &parts.join(", "))?;
    }
    lines.optional("message", progress.message.as_deref())
}

fn end(record: &TaskRecord, with_result: bool, lines: &mut Lines<'_, '_>) -> io::Result<()> {
    if let Some(failure) = failure(record) {
        let retryable = if failure.retryable {
            " (the same call may succeed later)"
        } else {
            ""
        };
        let text = format!("{}: {}{retryable}", failure.code, failure.message);
        lines.painted("error", &text, Paint::Bad)?;
        match &failure.details {
            Some(details) if with_result => lines.field("details", &details.to_string())?,
            Some(_) => lines.field("details", "not shown; `--result` shows them")?,
            None => {}
        }
    }
    match result(record) {
        None => Ok(()),
        Some(result) if with_result => lines.field("result", result),
        Some(result) => {
            let text = format!("{} bytes, not shown; `--result` shows them", result.len());
            lines.field("result", &text)
        }
    }
}

fn questions(record: &TaskRecord, lines: &mut Lines<'_, '_>) -> io::Result<()> {
    let input = record.input.as_deref();
    for question in input.map_or(&[][..], |input| &input.questions) {
        lines.painted("asks", &question.message, Paint::Warn)?;
    }
    Ok(())
}

fn keys(record: &TaskRecord, lines: &mut Lines<'_, '_>) -> io::Result<()> {
    for limit in record.concurrency.iter() {
        let text = format!("`{}`, which {} may hold at once", limit.key, limit.limit);
        lines.field("key", &text)?;
    }
    Ok(())
}

fn notice(record: &TaskRecord, now: Timestamp, lines: &mut Lines<'_, '_>) -> io::Result<()> {
    if has_callback(record) {
        lines.field("callback", "a URL of the caller's, not shown")?;
    }
    let Some(notice) = record.notice.as_ref() else {
        return Ok(());
    };
    lines.field("notice", &told(notice, now))?;
    lines.list("told", deliveries::lines(notice, now))
}

fn told(notice: &Notice, now: Timestamp) -> String {
    match (notice.number, notice.due) {
        (0, _) => "nothing to tell yet".to_owned(),
        (number, None) => format!("number {number}, settled"),
        (number, Some(due)) if due <= now => {
            format!("number {number}, due for {}", short(now.since(due)))
        }
        (number, Some(due)) => format!("number {number}, due in {}", short(due.since(now))),
    }
}

fn steps(steps: &[StepRecord], with_result: bool, lines: &mut Lines<'_, '_>) -> io::Result<()> {
    for (index, step) in steps.iter().enumerate() {
        let name = if index == 0 { "steps" } else { "" };
        if with_result {
            lines.field(name, &format!("{}: {}", step.name, step.result))?;
        } else {
            lines.field(name, &step.name)?;
        }
    }
    Ok(())
}
