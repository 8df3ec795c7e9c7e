//! One namespace of a schema: the verbs, each one statement.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::error::Done;
use super::handle::{Handle, one, params};
use super::text::{Sayings, digest, kept, released};
use super::{arrays, create, reads, rows, text};
use crate::store::sessions::Kept;
use crate::store::{
    Admission, Answered, Beat, Change, Created, Cursor, Filter, Lease, LogLine, Owned, Purged,
    Reaped, Report, Stats, StepRecord, Store, StoreError, Told, Want, encoding, hub,
};
use crate::task::{
    CancelAck, End, Epoch, Input, NewTask, Outcome, Question, Refused, Release, SessionId, TaskId,
    TaskRecord,
};

/// How long slots of a concurrency key are kept that nobody holds.
const IDLE: Duration = Duration::from_secs(60);

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
        params: Vec<super::handle::Param>,
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
                "SELECT c.*, CASE WHEN c.format > 1 THEN @.input_of($1, c.id) END \
                 FROM @.claim_tasks($1, $2, $3, $4, $5, $6, $7, $8) c",
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
                 $14, $15)",
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
        self.change_own(
            "SELECT @.finish_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
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
        self.change_own(
            "SELECT @.release_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
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
        let from = Instant::now();
        let sessions = self
            .handle
            .query(
                "SELECT session, beats, lease FROM @.sessions WHERE ns = $1",
                params![self.ns],
                |rows| rows.iter().map(read_session).collect::<Done<Vec<Kept>>>(),
            )
            .await?;
        let verdict = self
            .handle
            .sessions()
            .judge(self.ns, &sessions, from, Instant::now());
        let dead = verdict.dead.iter();
        let sayings = Sayings::get()?;
        let params = params![
            self.ns,
            format(),
            rows::count(limit),
            dead.clone()
                .map(|kept| rows::uuid(kept.session.to_bytes()))
                .collect::<Vec<_>>(),
            dead.map(|kept| kept.beats).collect::<Vec<_>>(),
            sayings.grows,
            sayings.requeued.clone(),
            sayings.interrupted.clone(),
            sayings.expired.clone(),
            rows::millis(IDLE),
        ];
        let mut reaped = self
            .handle
            .write(
                self.ns,
                "SELECT * FROM @.reap($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                params,
                read_reaped,
            )
            .await?;
        let next = [reaped.next, verdict.next].into_iter().flatten().min();
        reaped.next = next.map(|next| next.max(Duration::from_millis(1)));
        Ok(reaped)
    }

    async fn claim_notices(
        &self,
        _pause: Duration,
        _limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        Err(StoreError::new("not yet"))
    }

    async fn settle_notice(&self, _told: Told) -> Result<bool, StoreError> {
        Err(StoreError::new("not yet"))
    }

    async fn purge(&self, _id: TaskId) -> Result<Option<Purged>, StoreError> {
        Err(StoreError::new("not yet"))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        Err(StoreError::new("not yet"))
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        hub::stream(&self.changes)
    }
}

fn read_session(row: &tokio_postgres::Row) -> Done<Kept> {
    let session: uuid::Uuid = rows::get(row, 0)?;
    Ok(Kept {
        session: SessionId::from_bytes(session.into_bytes()),
        beats: rows::get(row, 1)?,
        lease: Duration::from_millis(rows::number(row, 2)?),
    })
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

/// The kinds are those of `reap.sql`.
fn read_reaped(rows: &[tokio_postgres::Row]) -> Done<(Reaped, Vec<Change>)> {
    let (mut reaped, mut changes) = (Reaped::default(), Vec::new());
    for row in rows {
        let kind: i16 = rows::get(row, 0)?;
        let ids = match kind {
            0 => &mut reaped.requeued,
            1 => &mut reaped.interrupted,
            2 => &mut reaped.expired,
            3 => &mut reaped.purged,
            4 => {
                reaped.ready = true;
                continue;
            }
            5 => {
                let left: i64 = rows::get(row, 2)?;
                reaped.next = Some(Duration::from_millis(left.max(0).cast_unsigned()));
                continue;
            }
            _ => {
                changes.push(Change::Queued);
                continue;
            }
        };
        let id = rows::id(row, 1)?;
        ids.push(id);
        changes.push(Change::Task(id));
    }
    Ok((reaped, changes))
}
