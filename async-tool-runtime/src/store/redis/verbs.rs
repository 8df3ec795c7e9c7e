//! The verbs: what their scripts are given, and what they answer.

mod notices;
mod operators;
mod questions;
mod read;
mod reap;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;

use super::error::{damaged, not_json};
use super::handle::Handle;
use super::rows::{self, Body, Row};
use super::script::{self, Arguments, LARGEST, Reply, Script};
use super::texts;
use crate::store::{
    Admission, Beat, Created, Lease, Limit, LogLine, MAX_KEYS, Owned, Report, StepRecord,
    StoreError, Want, encoding,
};
use crate::task::{
    CancelAck, End, Epoch, Fingerprint, NewTask, Outcome, Refused, Release, TaskId, TaskRecord,
    Timestamp,
};

type Written = Result<Result<(), Refused>, StoreError>;

#[derive(Debug, Clone)]
pub(super) struct Verbs {
    pub(super) handle: Handle,
    /// What the names of all keys begin with.
    pub(super) base: Arc<str>,
    /// Instead of the server's time, for tests.
    pub(super) now: Option<Timestamp>,
}

impl Verbs {
    /// What all scripts are given first.
    fn arguments(&self) -> Arguments {
        let arguments = match self.now {
            Some(now) => Arguments::default().number(now.0),
            None => Arguments::default().text(""),
        };
        arguments.number(self.handle.format.into())
    }

    async fn run(&self, script: &Script, arguments: &Arguments) -> Result<Value, StoreError> {
        self.handle.run(script, &self.base, arguments).await
    }

    /// Runs a script whose answer begins with a word.
    async fn ask(
        &self,
        script: &Script,
        arguments: &Arguments,
    ) -> Result<(String, Reply), StoreError> {
        let answer = Reply::of(self.run(script, arguments).await?);
        let mut reply = answer.ok_or_else(unexpected)?;
        match reply.text().ok_or_else(unexpected)?.as_str() {
            "newer" => Err(rows::newer(reply)),
            "lost" => Err(rows::lost()),
            word => Ok((word.to_owned(), reply)),
        }
    }

    /// Runs a script of a worker's write.
    async fn write(&self, script: &Script, arguments: &Arguments, durable: bool) -> Written {
        let (word, _) = self.ask(script, arguments).await?;
        let answer = match word.as_str() {
            "done" => Ok(()),
            "terminal" => Err(Refused::Terminal),
            "fenced" => Err(Refused::Fenced),
            "missing" => return Err(StoreError::new("the result was not put ahead")),
            _ => return Err(unexpected()),
        };
        if durable {
            self.handle.durable().await?;
        }
        Ok(answer)
    }

    pub(super) async fn create(
        &self,
        new: &NewTask,
        admission: Admission,
        beat: i64,
        max_records: usize,
    ) -> Result<Created, StoreError> {
        let concurrency = encoding::concurrency_text(&new.concurrency).map_err(not_json)?;
        let (name, fingerprint) = match &new.key {
            Some(key) => (key.key.as_ref(), fingerprint_text(key.fingerprint)),
            None => ("", String::new()),
        };
        let dedupe = new.dedupe.map(fingerprint_text).unwrap_or_default();
        let origin = match &new.origin {
            Some(origin) => Some(serde_json::to_string(origin.as_ref()).map_err(not_json)?),
            None => None,
        };
        loop {
            let arguments = self
                .arguments()
                .text(&new.id.to_string())
                .text(&new.tool)
                .text(&encoding::scope(new.principal.as_ref()));
            let arguments = self
                .handle
                .large(&self.base, arguments, &new.arguments)
                .await?
                .flag(new.key.is_some())
                .text(name)
                .text(&fingerprint)
                .text(&dedupe)
                .text(concurrency.as_deref().unwrap_or_default())
                .number(new.max_attempts.into())
                .number(millis(new.max_wait))
                .number(millis(new.retention))
                .flag(new.notify)
                .maybe(origin.as_deref())
                .count(admission.tool_queue)
                .count(admission.queue);
            let arguments = match admission.principal_queue {
                Some(limit) => arguments.count(limit),
                None => arguments.text(""),
            };
            let arguments = arguments.count(max_records).count(MAX_KEYS);
            let arguments = match admission.claim {
                Some(claim) => lease(arguments, claim, beat),
                None => arguments.text("").text("").text(""),
            };
            let (word, mut reply) = self.ask(&script::CREATE, &arguments).await?;
            let created = match word.as_str() {
                "new" => {
                    let row = Row::of(reply.value().ok_or_else(unexpected)?)?;
                    Created::New(row.with_arguments(Arc::clone(&new.arguments)))
                }
                "existing" => {
                    let row = Row::of(reply.value().ok_or_else(unexpected)?)?;
                    match self.with_result(row).await? {
                        Some(record) => Created::Existing(record),
                        // Its retention has just ended, and so has the key.
                        None => continue,
                    }
                }
                "conflict" => Created::Conflict(reply.parsed().ok_or_else(unexpected)?),
                "full" => Created::Full(match reply.text().as_deref() {
                    Some("keys") => Limit::Keys(MAX_KEYS),
                    Some("records") => Limit::Records(max_records),
                    Some("tool") => Limit::ToolQueue(admission.tool_queue),
                    Some("queue") => Limit::Queue(admission.queue),
                    Some("owner") => {
                        Limit::PrincipalQueue(admission.principal_queue.unwrap_or_default())
                    }
                    _ => return Err(unexpected()),
                }),
                _ => return Err(unexpected()),
            };
            if !matches!(created, Created::Full(_)) {
                self.handle.durable().await?;
            }
            return Ok(created);
        }
    }

    pub(super) async fn claim(
        &self,
        of: Lease,
        beat: i64,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let arguments = lease(self.arguments(), of, beat)
            .count(limit)
            .count(wants.len())
            .each(wants, |arguments, want| {
                arguments.text(&want.tool).count(want.room)
            });
        let answer = Reply::of(self.run(&script::CLAIM, &arguments).await?);
        let mut claimed = Vec::new();
        for row in answer.ok_or_else(unexpected)? {
            let mut row = Row::of(row)?;
            let body = match std::mem::replace(&mut row.body, Body::Apart) {
                Body::Here(body) => Some(body),
                Body::Apart => self.body("a:", row.record.id).await?,
            };
            // Where they are gone, the task has ended meanwhile.
            claimed.extend(body.map(|body| row.with_arguments(body)));
        }
        // A task that must not be started twice would otherwise be queued again
        // after a power cut.
        if !claimed.is_empty() {
            self.handle.durable().await?;
        }
        Ok(claimed)
    }

    pub(super) async fn beat(
        &self,
        of: Lease,
        beat: i64,
        reports: &[Report],
    ) -> Result<Beat, StoreError> {
        let mut arguments = lease(self.arguments(), of, beat)
            .count(LogLine::KEPT)
            .count(reports.len());
        for report in reports {
            let progress = serde_json::to_string(report.progress.as_ref()).map_err(not_json)?;
            arguments = arguments
                .text(&report.id.to_string())
                .number(report.epoch.0)
                .number(report.number)
                .number(report.revision)
                .bytes(progress)
                .maybe(report.history.as_deref());
            arguments = lines(arguments, &report.log);
        }
        let answer = Reply::of(self.run(&script::BEAT, &arguments).await?);
        let owned = |value| {
            let mut reply = Reply::of(value)?;
            Some(Owned {
                id: reply.parsed()?,
                epoch: Epoch(reply.parsed()?),
                lingers: rows::status(&reply.text()?)?.is_terminal(),
                cancel: reply.maybe()?.map(Arc::from),
            })
        };
        let owned: Option<Vec<Owned>> = answer.ok_or_else(unexpected)?.map(owned).collect();
        Ok(Beat::new(owned.ok_or_else(unexpected)?))
    }

    pub(super) async fn finish(&self, id: TaskId, epoch: Epoch, end: &End) -> Written {
        let outcome = encoding::outcome_text(&end.outcome).map_err(not_json)?;
        let result = match &end.outcome {
            Outcome::Completed(result) if !end.ahead => Arc::clone(result),
            _ => Arc::default(),
        };
        // A result that was put ahead is one of a completed task.
        let status = if end.ahead {
            Outcome::Completed(Arc::default()).status()
        } else {
            end.outcome.status()
        };
        let arguments = fence(self.arguments(), id, epoch)
            .number(end.revision)
            .text(&encoding::status_code(status).to_string())
            .bytes(outcome.unwrap_or_default())
            .flag(end.ahead)
            .flag(end.lingers);
        let arguments = self.handle.large(&self.base, arguments, &result).await?;
        let arguments = arguments.maybe(end.history.as_deref());
        let arguments = lines(arguments.count(LogLine::KEPT), &end.log);
        self.write(&script::FINISH, &arguments, true).await
    }

    pub(super) async fn release(&self, id: TaskId, epoch: Epoch, release: &Release) -> Written {
        let (kind, retry) = match release {
            Release::NotStarted => ("unstarted", None),
            Release::Stopped => ("stopped", None),
            Release::Retry(retry) => ("retry", Some(retry)),
        };
        let arguments = fence(self.arguments(), id, epoch).text(kind);
        let arguments = match retry {
            Some(retry) => {
                let pause = match retry.after {
                    Duration::ZERO => 0,
                    after => millis(after).max(1),
                };
                let arguments = arguments
                    .number(pause)
                    .bytes(texts::of_retry(retry)?)
                    .number(retry.revision)
                    .maybe(retry.history.as_deref());
                lines(arguments.count(LogLine::KEPT), &retry.log)
            }
            None => {
                let arguments = arguments.number(0).text("").number(0).maybe(None);
                lines(arguments.count(LogLine::KEPT), &[])
            }
        };
        // The others are repeated or taken over if they get lost.
        self.write(&script::RELEASE, &arguments, retry.is_some())
            .await
    }

    pub(super) async fn put_result(&self, id: TaskId, epoch: Epoch, result: &str) -> Written {
        let arguments = fence(self.arguments(), id, epoch);
        let arguments = self.handle.large(&self.base, arguments, result).await?;
        // The end that relies on it waits until both are durable.
        self.write(&script::PUT_RESULT, &arguments, false).await
    }

    pub(super) async fn record_step(&self, id: TaskId, epoch: Epoch, step: &StepRecord) -> Written {
        let arguments = fence(self.arguments(), id, epoch)
            .text(&step.name)
            .text(&step.result);
        self.write(&script::RECORD_STEP, &arguments, true).await
    }

    pub(super) async fn request_cancel(
        &self,
        id: TaskId,
        reason: &str,
    ) -> Result<Option<CancelAck>, StoreError> {
        let arguments = self.arguments().text(&id.to_string()).text(reason);
        let (word, _) = self.ask(&script::REQUEST_CANCEL, &arguments).await?;
        let ack = match word.as_str() {
            "none" => return Ok(None),
            "ended" => CancelAck::Ended,
            "requested" => CancelAck::Requested,
            "unchanged" => CancelAck::Unchanged,
            _ => return Err(unexpected()),
        };
        self.handle.durable().await?;
        Ok(Some(ack))
    }
}

fn lease(arguments: Arguments, lease: Lease, beat: i64) -> Arguments {
    arguments
        .bytes(rows::session(lease.session))
        .bytes(beat.to_string())
        .number(millis(lease.duration))
}

fn fence(arguments: Arguments, id: TaskId, epoch: Epoch) -> Arguments {
    arguments.text(&id.to_string()).number(epoch.0)
}

fn lines(arguments: Arguments, lines: &[LogLine]) -> Arguments {
    let surplus = lines.len().saturating_sub(LogLine::KEPT);
    let lines = &lines[surplus..];
    arguments.count(lines.len()).each(lines, |arguments, line| {
        arguments.number(line.number).bytes(rows::line(line))
    })
}

/// In hexadecimal digits, since it is a part of names.
fn fingerprint_text(fingerprint: Fingerprint) -> String {
    let bytes = encoding::fingerprint(fingerprint);
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// As Lua can add it to others.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .min(LARGEST)
}

fn unexpected() -> StoreError {
    damaged("an answer")
}
