//! Accepting a call.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::Instrument;

use super::circuit::Tripped;
use super::watch::Subscription;
use super::{Engine, Until, View, Wait};
use crate::catalog::Entry;
use crate::refusal::{Problem, Refusal};
use crate::store::{Admission, Created, Limit, NewTask, Status, StoreError, TaskId, TaskRecord};
use crate::task::{ConcurrencyLimit, Fingerprint, Origin, Principal, TaskKey};
use crate::telemetry::TraceContext;
use crate::tool::DecodeError;

/// A call of a tool, its arguments checked against the advertised schema and
/// freed of what is for the framework.
pub(crate) struct Initiate {
    pub(crate) entry: Arc<Entry>,
    pub(crate) principal: Option<Principal>,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) key: Option<String>,
    pub(crate) max_wait: Option<Duration>,
    /// Where in its caller's trace the call is.
    pub(crate) trace: Option<TraceContext>,
}

/// An accepted call.
#[derive(Debug)]
pub(crate) struct Initiated {
    pub(crate) view: View,
    /// The task existed already; its key was given again.
    pub(crate) replayed: bool,
}

impl Engine {
    /// Creates a task, or finds the one of the same key, and waits for its end
    /// as long as the tool's `inline` says.
    ///
    /// # Cancel safety
    ///
    /// A task that is being created when the future is dropped is created and
    /// executed all the same; its caller finds it by its key.
    pub(crate) async fn initiate(
        self: &Arc<Self>,
        mut call: Initiate,
    ) -> Result<Initiated, Refusal> {
        let entry = Arc::clone(&call.entry);
        let told = self.telemetry.initiating(&entry.name, &mut call.trace);
        let accepted = self.accept(call).instrument(told.span.clone()).await;
        let outcome = accepted
            .as_ref()
            .map(|(record, changes)| (record, changes.is_none()));
        self.telemetry.initiated(&entry.name, &told, outcome);
        let (record, changes) = accepted?;
        let replayed = changes.is_none();

        let id = record.id;
        let now = self.clock.now();
        let first = View::stored(record, now);
        let view = match entry.descriptor.inline {
            Some(duration) if !first.is_done() => {
                let wait = Wait {
                    duration,
                    until: Until::Done,
                    since: None,
                };
                self.wait(id, wait, None).await?.unwrap_or(first)
            }
            _ => first,
        };
        if let Some(changes) = changes {
            self.remember(&view, changes);
        }
        Ok(Initiated { view, replayed })
    }

    /// The task of a call, and its changes since before it was created; none if
    /// it was there already.
    async fn accept(
        self: &Arc<Self>,
        call: Initiate,
    ) -> Result<(TaskRecord, Option<Subscription>), Refusal> {
        let Initiate {
            entry,
            principal,
            arguments,
            key,
            max_wait,
            trace,
        } = call;
        let arguments = Value::Object(arguments);
        let text = arguments.to_string();
        if text.len() > self.config.max_arguments {
            return Err(Refusal::ArgumentsTooLarge {
                limit: self.config.max_arguments,
            });
        }
        let fingerprint = (key.is_some() || entry.descriptor.dedupe.is_some())
            .then(|| Fingerprint::of(&entry.name, &arguments));
        let key = key
            .zip(fingerprint)
            .map(|(key, fingerprint)| TaskKey::new(key, fingerprint));
        let mut concurrency = check(&entry, arguments).map_err(|error| {
            Refusal::InvalidArguments(vec![Problem::new(error.path, error.message)])
        })?;
        concurrency.extend(self.config.per_principal.concurrency(principal.as_ref()));
        let max_wait = max_wait.or(entry.descriptor.max_wait);
        let shared =
            entry.descriptor.dedupe.is_some() && (principal.is_some() || self.config.single_user);
        // A task that exists is told even now.
        let may_exist = key.is_some() || shared;
        let closed = match self.closed(&entry.name, principal.as_ref()) {
            Some(refusal) if !may_exist => return Err(refusal),
            closed => closed,
        };
        let mut origin = Origin::new();
        if let Some(trace) = &trace {
            trace.leave_in(&mut origin);
        }
        let new = NewTask {
            // Without a principal nobody knows whose tasks they are.
            dedupe: shared.then_some(fingerprint).flatten(),
            concurrency: concurrency.into(),
            max_attempts: entry.descriptor.max_attempts(),
            principal,
            key,
            origin: (!origin.is_empty()).then(|| Arc::new(origin)),
            ..NewTask::new(
                TaskId::random(),
                Arc::clone(&entry.name),
                text,
                max_wait.unwrap_or(self.config.max_age),
                entry.descriptor.retention.unwrap_or(self.config.retention),
            )
        };

        let changes = self.hub.subscribe(new.id);
        let engine = Arc::clone(self);
        let tool = Arc::clone(&entry.name);
        let (open, queue) = (closed.is_none(), entry.descriptor.queue);
        let created = async move { engine.create(new, tool, open, queue).await };
        match Self::detached(created).await? {
            Created::New(record) => Ok((record, Some(changes))),
            Created::Existing(record) => Ok((record, None)),
            Created::Conflict(id) => Err(Refusal::IdempotencyConflict(id)),
            Created::Full(_) if self.is_draining() => Err(Refusal::ShuttingDown),
            Created::Full(limit) => {
                Err(closed.unwrap_or_else(|| self.overloaded(limit, &entry.name)))
            }
        }
    }

    /// Why no new task of this tool is accepted at the moment. None: it is.
    fn closed(&self, tool: &str, principal: Option<&Principal>) -> Option<Refusal> {
        if self.is_draining() {
            return Some(Refusal::ShuttingDown);
        }
        if let Some(tripped) = self.circuits.tripped(tool) {
            let retry_after = match tripped {
                Tripped::Open(left) => left,
                Tripped::Probing => self.worker.slots.retry_after(tool),
            };
            return Some(Refusal::CircuitOpen { retry_after });
        }
        self.rate.count(principal).err()
    }

    fn overloaded(&self, limit: Limit, tool: &str) -> Refusal {
        let retry_after = match limit {
            // Room comes with the end of somebody's retention.
            Limit::Records(_) => Duration::from_secs(60),
            _ => self.worker.slots.retry_after(tool),
        };
        Refusal::Overloaded { limit, retry_after }
    }

    /// Creates a task; if not `open`, only finds the one that is meant.
    async fn create(
        self: Arc<Self>,
        new: NewTask,
        tool: Arc<str>,
        open: bool,
        queue: Option<usize>,
    ) -> Result<Created, StoreError> {
        let open = open && !self.is_draining();
        let slot = if open {
            self.worker.slots.take(&tool)
        } else {
            None
        };
        let start = slot.and_then(|slot| Some((self.circuits.pass(&tool)?, slot)));
        let _claiming = start.as_ref().map(|_| self.worker.claiming());
        let limit = if open { self.config.queue } else { 0 };
        let admission = Admission {
            claim: start.as_ref().map(|_| self.worker.lease),
            principal_queue: self.config.per_principal.queued,
            ..Admission::new(queue.unwrap_or(limit), limit)
        };
        let sent = Instant::now();
        let created = self.store.create(new, admission).await;
        if created.is_err() && start.is_some() {
            self.worker.doubt();
        }
        let created = created?;
        if let Created::New(record) = &created {
            match start {
                Some((pass, slot)) if record.status == Status::Working => {
                    self.execute(record.clone(), slot, pass, sent);
                }
                unused => {
                    drop(unused);
                    // Its deadline may be the next thing to happen.
                    self.sweep.notify_one();
                    self.worker.expect_backlog();
                }
            }
        }
        Ok(created)
    }
}

/// Checks that the arguments decode. Returns the keys of the tasks with which
/// this one must not run at once.
fn check(entry: &Entry, arguments: Value) -> Result<Vec<ConcurrencyLimit>, DecodeError> {
    let descriptor = &entry.descriptor;
    // No argument's key is like this one: those have a colon.
    let fleet = descriptor
        .fleet_concurrency
        .map(|limit| ConcurrencyLimit::new(format!("fleet/{}", entry.name), limit));
    let Some(key) = &descriptor.concurrency_key else {
        entry.tool.check(arguments)?;
        return Ok(fleet.into_iter().collect());
    };
    // A default that was left out and one that was given are the same.
    let arguments = entry.tool.filled_in(arguments)?;
    let values = key
        .arguments
        .iter()
        .map(|name| arguments.get(name).cloned().unwrap_or_default())
        .collect();
    let digest = Fingerprint::of(key.group, &Value::Array(values));
    let keyed = ConcurrencyLimit::new(format!("{}:{}", key.group, digest.to_hex()), key.limit);
    Ok([keyed].into_iter().chain(fleet).collect())
}
