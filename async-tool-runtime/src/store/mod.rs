//! Where tasks are kept.
//!
//! A store decides nothing: it carries out the transitions of
//! [`TaskRecord`], each as one atomic step, and compares epochs
//! (invariants 5 and 10). Application code picks a store for the builder, by
//! its type or by a URL ([`from_url`]); only authors of stores need the rest
//! of this module, and `docs/stores.md` in the repository, which explains it
//! and shows how to run the conformance suite.
//!
//! # The contract
//!
//! It is written down as sentences, on the verbs of [`Store`]. Each has a name,
//! in bold, and is a case of that name in the conformance suite
//! (`store::conformance`, feature `conformance`), which a store must pass.
//! These hold for all verbs:
//!
//! - **every_verb_is_one_atomic_step**: of several callers that race, each sees
//!   the store before or after the others and never between.
//! - **namespaces_are_apart**: nothing that is done in one namespace can be seen
//!   in another: tasks, keys, limits, concurrency keys, lists, changes.
//! - **a_call_that_is_dropped_is_done_or_not_done**: dropping the future of a
//!   call leaves no half of it behind, and harms no later one.
//!
//! Times are the store's wall clock, and only ever compared with each other.
//! Whether a session is alive is told by a monotonic clock. The engine runs
//! each call that a request makes in a spawned task of its own, so that a
//! request that goes away cuts none.
//!
//! What has been answered must survive the crash of this process in every store
//! that keeps tasks beyond it; what is called *durable* below, a power cut as
//! well.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod driver;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod encoding;
mod hub;
mod memory;
#[cfg(all(test, any(feature = "sqlite", feature = "postgres", feature = "redis")))]
mod model;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod sessions;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stats;
mod types;
mod url;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

pub use crate::progress::ProgressState;
pub use crate::task::{
    AttemptEnd, AttemptHistory, CancelAck, ConcurrencyLimit, End, Epoch, Fingerprint, History,
    Input, NewTask, Notice, Origin, Outcome, Principal, Question, Refused, Release, Retry,
    SessionId, Status, StepEnd, StepHistory, StepKind, Takeover, TaskFailure, TaskId, TaskKey,
    TaskRecord, Timestamp, Told,
};
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "redis")]
pub use redis::{RedisStore, RedisStoreBuilder};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use stats::{Inspection, Purged, QueueStats, SessionStats, Stats};
pub use types::{
    Admission, Answered, Beat, Change, Created, Cursor, Filter, Lease, Limit, LogLine, Owned,
    Owner, Reaped, Report, StepRecord, Want,
};
pub use url::{from_url, inspect};

/// Most idempotency keys that share one task.
pub const MAX_KEYS: usize = 1000;

/// Opens the part of an engine that the workers of one namespace share.
#[async_trait]
pub trait OpenStore: Send + Sync + 'static {
    /// Opens a namespace; it begins to exist with its first task.
    ///
    /// - **a_namespace_is_shared**: what is opened twice under one name is the same
    ///   namespace.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot be reached or is unfit for use.
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError>;

    /// The namespaces that have tasks, sorted.
    ///
    /// - **namespaces_are_listed**: from the first task of each on; whether one
    ///   whose tasks are gone is still listed is the store's to say.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot be reached.
    async fn namespaces(&self) -> Result<Vec<String>, StoreError>;
}

#[async_trait]
impl OpenStore for Box<dyn OpenStore> {
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError> {
        (**self).open(namespace).await
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        (**self).namespaces().await
    }
}

/// The tasks of one namespace; see the [module](self) for what holds of all
/// verbs.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Accepts a task, or finds the one that is meant.
    ///
    /// - **create_replays_a_known_key**: a key that is known with the same
    ///   fingerprint gives [`Created::Existing`], whatever the limits are.
    /// - **create_refuses_a_key_with_other_arguments**: a known key with another
    ///   fingerprint gives [`Created::Conflict`] and stores nothing.
    /// - **keys_are_scoped_by_principal_and_tool**: the same key of another
    ///   principal, of none, or for another tool, is another key.
    /// - **a_key_lives_as_long_as_its_record**: it is known until the record's
    ///   retention is over, and free from then on.
    /// - **create_joins_an_equal_task**: a task with a `dedupe` fingerprint joins
    ///   the one of the same principal, tool and `dedupe` fingerprint that has
    ///   not ended and was not asked to stop ([`Created::Existing`]); its key,
    ///   if any, becomes one more key of that task in the same step.
    /// - **a_shared_task_has_a_limit_of_keys**: beyond [`MAX_KEYS`] the answer is
    ///   [`Created::Full`] and nothing is stored.
    /// - **create_queues_a_task**: otherwise the task is new, and queued with
    ///   attempt 0.
    /// - **create_claims_for_an_idle_session**: if `admission` names a session, the
    ///   task's concurrency keys have room and nothing that is queued is ready,
    ///   that session claims the task in the same step.
    /// - **create_never_overtakes**: it does not while a task is queued that is
    ///   ready, even one of another tool.
    /// - **create_respects_the_limits_of_the_queue**: a task that would be queued
    ///   while its tool's queue or the whole queue is at its limit gives
    ///   [`Created::Full`] and nothing is stored. Unless `admission` names a session
    ///   and no task of the same tool is queued: its session has a slot for it.
    /// - **create_respects_the_limit_of_a_principal**: where `admission` has one, a
    ///   task that would be queued while as many of its principal are gives
    ///   [`Created::Full`] and nothing is stored, whatever session has a slot. A
    ///   task without a principal has no such limit.
    /// - **racing_creates_of_a_key_make_one_task**: all of them get that one.
    /// - **a_task_keeps_its_origin**: for all who read it, to the end.
    ///
    /// The record is durable before the answer.
    async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError>;

    /// Gives queued tasks to a session.
    ///
    /// - **claim_takes_the_oldest_first**: over all tools wanted, in the order of
    ///   creation.
    /// - **claim_takes_no_more_than_wanted**: at most `limit`, of each tool at most
    ///   its `want`, and none of other tools.
    /// - **claim_gives_the_arguments**: the records have what their attempts need.
    /// - **claim_counts_attempts_and_epochs**: with each claim the attempt and the
    ///   epoch grow by one.
    /// - **claim_leaves_what_is_not_ready**: a task in back-off before its time, or
    ///   one of whose concurrency keys is held by as many as its limit allows;
    ///   younger ones are claimed instead.
    /// - **a_concurrency_key_is_held_while_owned**: by each task that is owned,
    ///   over all tools and sessions.
    /// - **a_task_holds_all_its_concurrency_keys_or_none**.
    /// - **racing_claims_take_a_task_once**.
    /// - **claim_opens_or_renews_the_lease**: if anything was claimed.
    /// - **claim_of_nothing_leaves_no_trace**: a session that owns nothing is not
    ///   kept, and `reap` does not wait for its end.
    ///
    /// The claim of a task whose `max_attempts` is 1 is durable before the answer:
    /// after a power cut it would start a second time.
    async fn claim(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError>;

    /// Renews a session's lease, and keeps what its tasks report.
    ///
    /// - **beat_renews_the_lease**: from then on it lasts its duration once more.
    /// - **beat_keeps_reports**: progress, revision and log lines of tasks that
    ///   the epoch owns.
    /// - **a_history_stays_until_it_is_replaced**: by a report, a release for a
    ///   retry or the end; `get` and `claim` tell it, also after the end.
    /// - **beat_drops_reports_of_old_epochs**: and of tasks that have ended.
    /// - **beat_drops_late_reports**: whose number is not above the last one's, log
    ///   lines and all.
    /// - **beat_lists_what_the_session_owns**: with epochs and requests to stop,
    ///   also what it did not report on.
    async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError>;

    /// Ends a task that its worker executed.
    ///
    /// - **finish_ends_the_task**: with outcome and time, and nobody owns it.
    /// - **finish_needs_the_epoch**: with another one it is [`Refused::Fenced`] and
    ///   nothing changes; so it is where nobody owns the task, or it is gone.
    /// - **the_first_end_wins**: an ended task gives [`Refused::Terminal`] and never
    ///   changes.
    /// - **finish_keeps_the_last_log_lines**.
    /// - **finish_uses_the_result_put_ahead**: where [`End::ahead`] says so.
    /// - **an_ended_task_keeps_no_arguments_and_steps**: and no questions.
    /// - **a_lingering_task_keeps_its_concurrency_key**: where [`End::lingers`] says
    ///   so, until it is released or its session is dead.
    ///
    /// The record is durable before the answer.
    async fn finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        end: End,
    ) -> Result<Result<(), Refused>, StoreError>;

    /// Gives up what a session owns of a task.
    ///
    /// - **release_of_what_has_not_begun_counts_no_attempt**:
    ///   [`Release::NotStarted`] queues the task again, at its old place.
    /// - **release_for_a_retry_waits**: [`Release::Retry`] queues it again, to be
    ///   claimed after the pause; attempt and recorded steps stay.
    /// - **release_ends_what_was_asked_to_stop**: instead of queueing it.
    /// - **release_of_a_lingering_task_frees_its_key**: [`Release::Stopped`].
    /// - **release_needs_the_epoch**: as `finish` does.
    async fn release(
        &self,
        id: TaskId,
        epoch: Epoch,
        release: Release,
    ) -> Result<Result<(), Refused>, StoreError>;

    /// Stores a large result before its task is finished, so that finishing
    /// it is quick.
    ///
    /// - **put_result_needs_the_epoch**: as `finish` does.
    /// - **a_result_put_ahead_is_not_seen_before_the_end**.
    /// - **a_new_attempt_forgets_a_result_put_ahead**: a `finish` that relies on one
    ///   that is not there is an error.
    async fn put_result(
        &self,
        id: TaskId,
        epoch: Epoch,
        result: Arc<str>,
    ) -> Result<Result<(), Refused>, StoreError>;

    /// Records the result of a step.
    ///
    /// - **a_step_is_recorded_once**: a name that is recorded keeps its first
    ///   result, and the answer is the same.
    /// - **record_step_needs_the_epoch**: as `finish` does.
    ///
    /// The record is durable before the answer.
    async fn record_step(
        &self,
        id: TaskId,
        epoch: Epoch,
        step: StepRecord,
    ) -> Result<Result<(), Refused>, StoreError>;

    /// Reads the recorded steps of a task.
    ///
    /// - **steps_survive_attempts**: in the order in which they were recorded, by
    ///   whatever attempt.
    async fn steps(&self, id: TaskId) -> Result<Vec<StepRecord>, StoreError>;

    /// Says what an attempt waits for: these questions and no others. With none
    /// it goes on working.
    ///
    /// - **ask_shows_what_the_attempt_waits_for**: the status is
    ///   [`Status::InputRequired`] while a question is open, and `get` and `list`
    ///   tell them, in the order in which they were given.
    /// - **ask_replaces_what_the_attempt_asked**: what is not asked any more is
    ///   gone, and cannot be answered.
    /// - **ask_needs_the_epoch**: as `finish` does.
    /// - **asking_the_same_again_changes_nothing**.
    /// - **ask_leaves_out_what_was_answered**: a question whose answer is recorded
    ///   is not opened.
    /// - **questions_survive_attempts**: until they are answered, asked again or
    ///   the task has ended; nothing is shown of them meanwhile. Of those of
    ///   earlier attempts the last ones are kept, [`Input::KEPT`] in all.
    async fn ask(
        &self,
        id: TaskId,
        epoch: Epoch,
        questions: Vec<Question>,
        revision: u64,
    ) -> Result<Result<(), Refused>, StoreError>;

    /// Answers a question.
    ///
    /// - **answer_records_a_step**: the [`StepRecord::answer`] of its key, and the
    ///   question is not open any more.
    /// - **the_last_answer_lets_the_task_work**: with others open it goes on
    ///   waiting.
    /// - **the_first_answer_stays**: a later one gives [`Answered::Before`].
    /// - **racing_answers_record_one**.
    /// - **answer_needs_a_question**: without one it is [`Answered::NotAsked`].
    /// - **answer_leaves_an_ended_task**: as it was, with [`Answered::Ended`].
    /// - **answer_finds_no_unknown_task**: `None`, also for one whose retention is
    ///   over, purged or not.
    ///
    /// The answer is durable before the answer to this call.
    async fn answer(
        &self,
        id: TaskId,
        key: &str,
        answer: Arc<str>,
    ) -> Result<Option<Answered>, StoreError>;

    /// Asks a task to stop.
    ///
    /// - **cancel_ends_a_queued_task**: at once, also one in back-off.
    /// - **cancel_asks_a_working_task**: which goes on until its worker ends it.
    ///   Its record keeps the request, however it ends: to clients of protocol
    ///   2025-11-25 it is cancelled from the request on.
    /// - **the_first_reason_to_cancel_stays**.
    /// - **cancel_leaves_an_ended_task**: as it was.
    /// - **cancel_finds_no_unknown_task**: `None`, also for one whose retention is
    ///   over, purged or not.
    ///
    /// The request is durable before the answer.
    async fn request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError>;

    /// Reads a task, with its result and without its arguments.
    ///
    /// - **get_reads_what_was_written**: whatever caller wrote it, as soon as it
    ///   was answered.
    /// - **get_finds_nothing_after_retention**: purged or not.
    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError>;

    /// Reads the last lines of a task's log, the oldest first.
    ///
    /// - **log_gives_the_last_lines**: at most `limit`, in order.
    /// - **log_keeps_a_limited_number_of_lines**: [`LogLine::KEPT`].
    /// - **a_log_line_is_kept_once**: however often it was reported.
    async fn log(&self, id: TaskId, limit: usize) -> Result<Vec<LogLine>, StoreError>;

    /// Lists tasks.
    ///
    /// - **list_is_newest_first**: by creation, then by id, both descending.
    /// - **list_goes_on_after_the_cursor**: pages neither repeat nor miss a task
    ///   that is there all the time.
    /// - **list_filters**: by owner, tool and status, together.
    /// - **list_leaves_out_what_has_expired**: purged or not.
    /// - **list_leaves_out_arguments_and_results**: what a completed task has of
    ///   its outcome is an empty result; and the history.
    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError>;

    /// Cleans up, at most `limit` tasks of each kind.
    ///
    /// - **reap_interrupts_the_tasks_of_dead_sessions**: a session is dead when its
    ///   lease ran out; not before, and at the latest one lease after.
    /// - **reap_requeues_what_may_run_again**: while `attempt` is below
    ///   `max_attempts`.
    /// - **reap_fences_the_dead**: what it took from a session has a new epoch.
    /// - **reap_cancels_what_was_asked_to_stop**: instead of interrupting it.
    /// - **reap_ends_queued_tasks_at_their_deadline**.
    /// - **reap_purges_after_retention**: with keys, steps, log and result.
    /// - **reap_is_bounded**: by `limit`, of each kind; the rest follows with the
    ///   next calls.
    /// - **reap_tells_when_to_come_again**: `next` is not after the moment at
    ///   which a deadline, back-off or retention ends, or a session may be dead.
    /// - **reap_tells_what_is_ready**.
    /// - **reap_tells_of_notices**: whether some are due; `next` is not after the
    ///   moment at which one will be.
    async fn reap(&self, limit: usize) -> Result<Reaped, StoreError>;

    /// Gives notices that are due to the caller, who is to tell them: the records
    /// of their tasks, as [`get`](Self::get) reads them.
    ///
    /// - **an_end_gives_a_notice**: of a task that was created with
    ///   [`NewTask::notify`], in the same step as its end, whoever ends it: its
    ///   worker, a cancel, a deadline, the death of its worker.
    /// - **questions_give_a_notice**: in the same step, where `ask` opens other ones
    ///   than before.
    /// - **a_later_notice_replaces_an_earlier_one**: with a greater number, due at
    ///   once and without a state.
    /// - **claim_notices_takes_the_longest_due_first**: at most `limit`, and none
    ///   whose task's retention is over.
    /// - **a_claimed_notice_is_due_again_after_the_pause**: unless it is settled
    ///   before; racing claims take it once.
    async fn claim_notices(
        &self,
        pause: Duration,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError>;

    /// Keeps what came of telling a notice; whether it was still the caller's to
    /// say.
    ///
    /// - **a_settled_notice_is_not_claimed**: before its next try, or ever.
    /// - **settle_notice_needs_the_claim**: with another number or due than the
    ///   present ones nothing changes, and the answer is false; so it is where the
    ///   task is gone.
    /// - **a_notice_is_kept_with_its_task**: `get` and `list` tell it.
    async fn settle_notice(&self, told: Told) -> Result<bool, StoreError>;

    /// Deletes an ended task before its retention is over.
    ///
    /// - **purge_deletes_an_ended_task**: with keys, steps, log and result.
    /// - **purge_leaves_what_has_not_ended**: [`Purged::NotEnded`].
    /// - **purge_leaves_what_is_in_use**: [`Purged::InUse`], while a session owns
    ///   it or a notice is not settled.
    /// - **purge_finds_no_unknown_task**: `None`, also for one whose retention is
    ///   over.
    async fn purge(&self, id: TaskId) -> Result<Option<Purged>, StoreError>;

    /// Tells how much is in the namespace. It costs about the same however many
    /// tasks have ended.
    ///
    /// - **stats_count_what_is_there**: queues, what is being worked on, records,
    ///   notices, sessions. What has expired may still be counted until it is
    ///   reaped.
    async fn stats(&self) -> Result<Stats, StoreError>;

    /// Changes by anybody, from now on. Lossy: after a gap there is a
    /// [`Change::Resync`], and readers poll slowly besides.
    ///
    /// - **changes_tell_of_ends_and_steps**: a [`Change::Task`] follows each growth
    ///   of a revision after creation.
    /// - **changes_tell_of_cancel_requests**: with [`Change::Cancel`].
    /// - **changes_tell_of_queued_tasks**: with [`Change::Queued`], and so when a
    ///   concurrency key becomes free that a queued task waits for.
    /// - **every_reader_of_changes_gets_them**.
    fn changes(&self) -> BoxStream<'static, Change>;
}

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
    #[source]
    source: Option<crate::BoxError>,
}

impl StoreError {
    /// An error that says what failed.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// Adds the engine's own error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<crate::BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
}
