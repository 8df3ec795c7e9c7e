//! What a transition changed of a row.

use std::sync::Arc;

use rusqlite::Connection;

use super::error::Done;
use super::rows;
use super::statement;
use crate::store::encoding;
use crate::task::{Input, Notice, Outcome, SessionId, Status, TaskRecord, Timestamp};

/// What [`write`] compares with.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) status: Status,
    pub(super) owner: Option<SessionId>,
    epoch: u64,
    revision: u64,
    report: u64,
    attempt: u32,
    not_before: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    cancel: bool,
    history: Option<Arc<str>>,
    notice: Option<Notice>,
    input: Option<Arc<Input>>,
}

impl Before {
    pub(super) fn of(record: &TaskRecord) -> Self {
        Self {
            status: record.status,
            owner: record.owner,
            epoch: record.epoch.0,
            revision: record.revision,
            report: record.report,
            attempt: record.attempt,
            not_before: record.not_before,
            started_at: record.started_at,
            finished_at: record.finished_at,
            cancel: record.cancel.is_some(),
            history: record.history.clone(),
            notice: record.notice.clone(),
            input: record.input.clone(),
        }
    }
}

/// Writes the columns that differ, and no index that does not depend on them.
pub(super) fn write(
    connection: &Connection,
    seq: i64,
    before: &Before,
    after: &TaskRecord,
) -> Done<()> {
    let mut update = Update::default();
    if before.status != after.status {
        update.set("status", encoding::status_code(after.status));
    }
    if before.epoch != after.epoch.0 {
        update.set("epoch", rows::integer(after.epoch.0));
    }
    if before.revision != after.revision {
        update.set("revision", rows::integer(after.revision));
    }
    if before.report != after.report {
        update.set("report", rows::integer(after.report));
    }
    if before.attempt != after.attempt {
        update.set("attempt", after.attempt);
    }
    if before.owner != after.owner {
        update.set("owner", after.owner.map(|owner| owner.to_bytes().to_vec()));
    }
    if before.not_before != after.not_before {
        update.set("not_before", instant(after.not_before));
    }
    if before.started_at != after.started_at {
        update.set("started_at", instant(after.started_at));
    }
    if before.finished_at != after.finished_at {
        update.set("finished_at", instant(after.finished_at));
        update.set("expires_at", instant(after.expires_at()));
    }
    if before.cancel != after.cancel.is_some() {
        update.set("cancel", after.cancel.as_deref().map(str::to_owned));
    }
    match (&before.input, &after.input) {
        (None, None) => {}
        (Some(before), Some(after)) if Arc::ptr_eq(before, after) => {}
        (_, None) => update.set("input", None::<String>),
        (_, Some(input)) => {
            update.set("input", rows::json(input.as_ref())?);
            // What was asked once is for those to read who know of questions.
            update.set("format", after.format());
        }
    }
    match &after.progress {
        Some(progress) if Arc::ptr_eq(progress, rows::unread()) => {}
        Some(progress) => update.set("progress", rows::json(progress.as_ref())?),
        None => update.set("progress", None::<String>),
    }
    // Where it was not read there is one only if the transition replaced it.
    if let Some(history) = &after.history
        && !before
            .history
            .as_ref()
            .is_some_and(|before| Arc::ptr_eq(before, history))
    {
        update.set("history", history.as_ref().to_owned());
    }
    if let (Some(before), Some(after)) = (&before.notice, &after.notice) {
        notice(&mut update, before, after);
    }
    if let Some(outcome) = &after.outcome
        && !matches!(outcome, Outcome::Completed(_))
    {
        update.set(
            "outcome",
            encoding::outcome_text(outcome).map_err(rows::not_json)?,
        );
    }
    update.run(connection, seq)
}

fn notice(update: &mut Update, before: &Notice, after: &Notice) {
    if before.number != after.number {
        update.set("notice", rows::integer(after.number));
    }
    if before.due != after.due {
        update.set("notice_due", instant(after.due));
    }
    if before.state != after.state {
        update.set("notice_state", after.state.as_deref().map(str::to_owned));
    }
}

fn instant(moment: Option<Timestamp>) -> Option<i64> {
    moment.map(|moment| rows::integer(moment.0))
}

/// An UPDATE of the columns that are set.
#[derive(Debug, Default)]
struct Update {
    assignments: String,
    values: Vec<rusqlite::types::Value>,
}

impl Update {
    fn set(&mut self, column: &str, value: impl Into<rusqlite::types::Value>) {
        if !self.assignments.is_empty() {
            self.assignments.push_str(" = ?, ");
        }
        self.assignments.push_str(column);
        self.values.push(value.into());
    }

    fn run(mut self, connection: &Connection, seq: i64) -> Done<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        self.values.push(seq.into());
        let sql = format!("UPDATE tasks SET {} = ? WHERE seq = ?", self.assignments);
        let mut statement = statement::prepare(connection, &sql)?;
        statement.execute(rusqlite::params_from_iter(self.values))?;
        Ok(())
    }
}
