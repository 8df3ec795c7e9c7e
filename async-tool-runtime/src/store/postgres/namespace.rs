//! One namespace of a schema: the verbs, each one statement.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use tokio::sync::broadcast;

use super::error::Done;
use super::handle::{Handle, Param, one, params};
use super::rows::COLUMNS;
use super::text::{digest, kept, released};
use super::{arrays, create, notices, reads, reap, rows, stats, text};
use crate::store::{
    Admission, Answered, Beat, Change, Created, Cursor, Filter, Lease, LogLine, Owned, Purged,
    Reaped, Report, Stats, StepRecord, Store, StoreError, Told, Want, encoding, hub,
};
use crate::task::{
    CancelAck, End, Epoch, Input, NewTask, Outcome, Question, Refused, Release, TaskId, TaskRecord,
};

#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) handle: Arc<Handle>,
    pub(super) ns: i32,
    pub(super) max_records: usize,
    changes: broadcast::Sender<Change>,
}

/// The newest record format of this program.
pub(super) fn format() -> i32 {
    i32::try_from(TaskRecord::FORMAT).unwrap_or(i32::MAX)
}

impl Namespace {
    pub(super) async fn open(handle: Arc<Handle>, name: &str, max_records: usize) -> Done<Self> {
        let name = kept(name).into_owned();
        let ns = handle
            .query("SELECT @.open_namespace($1)", params![name], |rows| {
                rows::get(one(rows)?, 0)
            })
            .await?;
        Ok(Self {
            changes: handle.hub().of(ns),
            handle,
            ns,
            max_records,
        })
    }

    /// A verb of a worker on a task of its own. The answer's code is that of
    /// `fence` in `end.sql`.
    async fn change_own(
        &self,
        sql: &str,
        params: Vec<Param>,
        changes: Vec<Change>,
        frees: Vec<Change>,
    ) -> Done<Result<(), Refused>> {
        self.handle
            .write(self.ns, sql, params, move |rows| {
                let code: i32 = rows::get(one(rows)?, 0)?;
                Ok(match code {
                    0 => (Ok(()), changes),
                    1 => (Err(Refused::Terminal), Vec::new()),
                    4 => (Ok(()), [changes, frees].concat()),
                    _ => (Err(Refused::Fenced), Vec::new()),
                })
            })
            .await
    }
}

#[async_trait]
impl Store for Namespace {
    async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError> {
        create::create(self, new, admission).await
    }

    async fn claim(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let tools: Vec<String> = wants
            .iter()
            .map(|want| kept(&want.tool).into_owned())
            .collect();
        let rooms: Vec<i64> = wants.iter().map(|want| rows::count(want.room)).collect();
        let beats = self.handle.next_beat();
        let params = params![
            self.ns,
            format(),
            rows::uuid(lease.session.to_bytes()),
            rows::millis(lease.duration),
            beats,
            tools,
            rooms,
            rows::count(limit),
        ];
        let claimed: Vec<TaskRecord> = self
            .handle
            .write(
                self.ns,
                &format!(
                    "SELECT {COLUMNS}, c.body, t.history \
                     FROM @.claim_tasks($1, $2, $3, $4, $5, $6, $7, $8) c CROSS JOIN LATERAL {}",
                    rows::task_now("c.id")
                ),
                params,
                |rows| {
                    let claimed: Vec<TaskRecord> =
                        rows.iter().map(rows::claimed).collect::<Done<_>>()?;
                    let changes = claimed.iter().map(|record| Change::Task(record.id));
                    let changes = changes.collect();
                    Ok((claimed, changes))
                },
            )
            .await?;
        if !claimed.is_empty() {
            self.handle.renewed(self.ns, lease.session, beats);
        }
        Ok(claimed)
    }

    async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError> {
        let beats = self.handle.next_beat();
        let mut params = params![
            self.ns,
            format(),
            rows::uuid(lease.session.to_bytes()),
            rows::millis(lease.duration),
            beats,
        ];
        params.extend(arrays::reports(reports)?);
        let beat: Beat = self
            .handle
            .beat(
                self.ns,
                "SELECT * FROM @.beat($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
                 $14, $15, $16)",
                params,
                read_beat,
            )
            .await?;
        if !beat.owned.is_empty() {
            self.handle.renewed(self.ns, lease.session, beats);
        }
        Ok(beat)
    }

    async fn finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        end: End,
    ) -> Result<Result<(), Refused>, StoreError> {
        let outcome = encoding::outcome_text(&end.outcome)
            .map_err(|_| super::error::other("an error cannot be written as JSON"))?;
        let outcome = match &end.outcome {
            Outcome::Cancelled(reason) => Some(kept(reason).into_owned()),
            _ => outcome,
        };
        let result = match &end.outcome {
            Outcome::Completed(result) if !end.ahead => Some(kept(result).into_owned()),
            _ => None,
        };
        let status = match end.ahead {
            true => crate::task::Status::Completed,
            false => end.outcome.status(),
        };
        let mut params = params![
            self.ns,
            format(),
            rows::uuid(id.to_bytes()),
            rows::integer(epoch.0),
            rows::integer(end.revision),
            encoding::status_code(status),
            outcome,
            result,
            end.ahead,
            end.lingers,
        ];
        params.extend(arrays::log(&end.log));
        let sql = "@.finish_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        self.change_own(
            &remembering(sql, &mut params, end.history.as_deref()),
            params,
            vec![Change::Task(id)],
            vec![Change::Queued],
        )
        .await
    }

    async fn release(
        &self,
        id: TaskId,
        epoch: Epoch,
        release: Release,
    ) -> Result<Result<(), Refused>, StoreError> {
        let (kind, retry) = match &release {
            Release::NotStarted => (0, None),
            Release::Retry(retry) => (1, Some(retry)),
            Release::Stopped => (2, None),
        };
        let progress = retry.map(|retry| released(&retry.message)).transpose()?;
        let mut params = params![
            self.ns,
            format(),
            rows::uuid(id.to_bytes()),
            rows::integer(epoch.0),
            kind,
            retry.map_or(0, |retry| rows::millis(retry.after)),
            progress,
            retry.map_or(0, |retry| rows::integer(retry.revision)),
        ];
        params.extend(arrays::log(retry.map_or(&[], |retry| &retry.log)));
        let sql = "@.release_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let history = retry.and_then(|retry| retry.history.as_deref());
        self.change_own(
            &remembering(sql, &mut params, history),
            params,
            vec![Change::Task(id)],
            vec![Change::Queued],
        )
        .await
    }

    async fn put_result(
        &self,
        id: TaskId,
        epoch: Epoch,
        result: Arc<str>,
    ) -> Result<Result<(), Refused>, StoreError> {
        let params = params![
            self.ns,
            format(),
            rows::uuid(id.to_bytes()),
            rows::integer(epoch.0),
            kept(&result).into_owned(),
        ];
        let sql = "SELECT @.put_result($1, $2, $3, $4, $5)";
        self.change_own(sql, params, Vec::new(), Vec::new()).await
    }

    async fn record_step(
        &self,
        id: TaskId,
        epoch: Epoch,
        step: StepRecord,
    ) -> Result<Result<(), Refused>, StoreError> {
        let params = params![
            self.ns,
            format(),
            rows::uuid(id.to_bytes()),
            rows::integer(epoch.0),
            digest(&[step.name.as_bytes()]),
            kept(&step.name).into_owned(),
            kept(&step.result).into_owned(),
        ];
        let sql = "SELECT @.record_step($1, $2, $3, $4, $5, $6, $7)";
        self.change_own(sql, params, Vec::new(), Vec::new()).await
    }

    async fn steps(&self, id: TaskId) -> Result<Vec<StepRecord>, StoreError> {
        reads::steps(self, id).await
    }

    async fn ask(
        &self,
        id: TaskId,
        epoch: Epoch,
        questions: Vec<Question>,
        revision: u64,
    ) -> Result<Result<(), Refused>, StoreError> {
        let steps = questions
            .iter()
            .map(|question| StepRecord::answer(&question.key, "").name);
        let params = params![
            self.ns,
            format(),
            rows::uuid(id.to_bytes()),
            rows::integer(epoch.0),
            rows::integer(revision),
            rows::questions(&questions, epoch)?,
            steps
                .map(|name| digest(&[name.as_bytes()]))
                .collect::<Vec<_>>(),
            rows::count(Input::KEPT),
        ];
        // Durable, since the worker outlives its server: it would wait for an
        // answer to what nobody can see.
        let sql = "SELECT @.ask_questions($1, $2, $3, $4, $5, $6, $7, $8)";
        self.change_own(sql, params, Vec::new(), vec![Change::Task(id)])
            .await
    }

    async fn answer(
        &self,
        id: TaskId,
        key: &str,
        answer: Arc<str>,
    ) -> Result<Option<Answered>, StoreError> {
        let step = StepRecord::answer(key, answer);
        let params = params![
            self.ns,
            format(),
            rows::uuid(id.to_bytes()),
            kept(key).into_owned(),
            digest(&[step.name.as_bytes()]),
            kept(&step.name).into_owned(),
            kept(&step.result).into_owned(),
        ];
        let sql = "SELECT * FROM @.answer_question($1, $2, $3, $4, $5, $6, $7)";
        self.handle
            .write(self.ns, sql, params, move |rows| {
                let row = one(rows)?;
                let kind: i32 = rows::get(row, 0)?;
                Ok(match kind {
                    0 => (None, Vec::new()),
                    1 => (Some(Answered::Recorded), vec![Change::Task(id)]),
                    2 => {
                        let before = text::read(rows::get(row, 1)?);
                        (Some(Answered::Before(before.into())), Vec::new())
                    }
                    3 => (Some(Answered::NotAsked), Vec::new()),
                    _ => (Some(Answered::Ended), Vec::new()),
                })
            })
            .await
    }

    async fn request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError> {
        let params = params![
            self.ns,
            format(),
            rows::uuid(id.to_bytes()),
            kept(&reason).into_owned(),
        ];
        let sql = "SELECT @.request_cancel($1, $2, $3, $4)";
        self.handle
            .write(self.ns, sql, params, move |rows| {
                let code: i32 = rows::get(one(rows)?, 0)?;
                Ok(match code {
                    0 => (None, Vec::new()),
                    2 => (
                        Some(CancelAck::Requested),
                        vec![Change::Cancel(id), Change::Task(id)],
                    ),
                    3 => (Some(CancelAck::Ended), vec![Change::Task(id)]),
                    _ => (Some(CancelAck::Unchanged), Vec::new()),
                })
            })
            .await
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        reads::get(self, id).await
    }

    async fn log(&self, id: TaskId, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        reads::log(self, id, limit).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        reads::list(self, filter, after, limit).await
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, StoreError> {
        reap::reap(self, limit).await
    }

    async fn claim_notices(
        &self,
        pause: Duration,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        notices::claim(self, pause, limit).await
    }

    async fn settle_notice(&self, told: Told) -> Result<bool, StoreError> {
        notices::settle(self, &told).await
    }

    async fn purge(&self, id: TaskId) -> Result<Option<Purged>, StoreError> {
        notices::purge(self, id).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        stats::stats(self).await
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        hub::stream(&self.changes)
    }
}

/// The statement that calls a function of the schema on the task `$3`, and keeps
/// the history that comes with it.
fn remembering(call: &str, params: &mut Vec<Param>, history: Option<&str>) -> String {
    let Some(history) = history else {
        return format!("SELECT {call}");
    };
    params.push(Box::new(kept(history).into_owned()));
    format!("SELECT @.remember({call}, $1, $3, ${})", params.len())
}

fn read_beat(rows: &[tokio_postgres::Row]) -> Done<(Beat, Vec<Change>)> {
    let (mut owned, mut changes) = (Vec::new(), Vec::new());
    for row in rows {
        let kind: i16 = rows::get(row, 0)?;
        let id = rows::id(row, 1)?;
        if kind == 1 {
            changes.push(Change::Task(id));
            continue;
        }
        let cancel: Option<&str> = rows::get(row, 3)?;
        owned.push(Owned {
            id,
            epoch: Epoch(rows::number(row, 2)?),
            cancel: cancel.map(|reason| text::read(reason).into()),
            lingers: rows::status(rows::get(row, 4)?)?.is_terminal(),
        });
    }
    Ok((Beat::new(owned), changes))
}
