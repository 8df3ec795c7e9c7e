//! Random operations, on some store and on the memory store: all answers must
//! be the same.

mod notices;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::*;

const TOOLS: [&str; 3] = ["a", "b", "c"];
/// Of questions.
const KEYS: [&str; 4] = ["p", "it's \"q\"", "\0r", "ü/s"];

/// A small generator, so that a failure can be repeated by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn index(&mut self, sides: usize) -> usize {
        usize::try_from(self.roll(sides as u64)).expect("small")
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.roll(3) == 0).then(|| value(self))
    }
}

struct Pair {
    model: Arc<dyn Store>,
    store: Arc<dyn Store>,
    dice: Dice,
    ids: Vec<TaskId>,
    sessions: Vec<Lease>,
    reports: u64,
    revision: u64,
    lines: u64,
    asked: Vec<Question>,
    /// What came of notices, to be kept.
    told: Vec<Told>,
}

/// So many operations on both, and then a look at everything. `pass` lets time
/// pass for both.
pub(super) async fn compare(
    model: Arc<dyn Store>,
    store: Arc<dyn Store>,
    seed: u64,
    operations: usize,
    pass: impl AsyncFn(Duration),
) {
    let mut pair = Pair {
        model,
        store,
        dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        ids: vec![TaskId::random()],
        sessions: (0..3).map(|_| lease()).collect(),
        reports: 0,
        revision: 0,
        lines: 0,
        asked: Vec::new(),
        told: Vec::new(),
    };
    for _ in 0..operations {
        pair.step(&pass).await;
    }
    for id in pair.ids.clone() {
        pair.look_at(id).await;
    }
    pair.count().await;
}

pub(super) fn task(tool: &str) -> NewTask {
    NewTask::new(
        TaskId::random(),
        tool,
        r#"{"a":1}"#,
        Duration::from_secs(100),
        Duration::from_secs(60),
    )
}

pub(super) fn fingerprint(number: u64) -> Fingerprint {
    Fingerprint::of("t", &serde_json::json!(number))
}

pub(super) fn lease() -> Lease {
    Lease::new(SessionId::random(), Duration::from_secs(15))
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "they are made for this")]
fn same<T: PartialEq + Debug>(what: &str, model: T, store: T) {
    assert!(
        model == store,
        "{what}:\n  memory {model:?}\n  store  {store:?}"
    );
}

impl Pair {
    async fn step(&mut self, pass: &impl AsyncFn(Duration)) {
        match self.dice.roll(24) {
            0..=2 => self.create().await,
            3 | 4 => self.claim().await,
            5 => self.beat().await,
            6 | 7 => self.finish().await,
            8 => self.release().await,
            9 => self.put_result().await,
            10 => self.record_step().await,
            11 => self.cancel().await,
            12 => {
                let id = self.id();
                self.look_at(id).await;
            }
            13 => self.list().await,
            14 | 15 => self.ask().await,
            16 | 17 => self.answer().await,
            18 | 19 => self.claim_notices().await,
            20 => self.settle_notice().await,
            21 => self.purge().await,
            22 => self.count().await,
            _ => self.pass_time(pass).await,
        }
    }

    /// Of one of the last tasks, mostly.
    fn id(&mut self) -> TaskId {
        let from = self.ids.len().saturating_sub(12);
        self.dice.pick(&self.ids[from..])
    }

    /// Of one of those like this, mostly.
    async fn id_of(&mut self, like: impl Fn(&TaskRecord) -> bool) -> TaskId {
        let from = self.ids.len().saturating_sub(12);
        let mut found = Vec::new();
        for id in &self.ids[from..] {
            let known = self.model.get(*id).await.expect("memory works");
            found.extend(known.filter(&like).map(|record| record.id));
        }
        match self.dice.roll(4) {
            0 => self.id(),
            _ if found.is_empty() => self.id(),
            _ => self.dice.pick(&found),
        }
    }

    /// The present epoch, mostly.
    async fn epoch(&mut self, id: TaskId) -> Epoch {
        let known = self.model.get(id).await.expect("memory works");
        let epoch = known.map_or(Epoch(1), |record| record.epoch);
        match self.dice.roll(8) {
            0 => Epoch(epoch.0.saturating_sub(1)),
            _ => epoch,
        }
    }

    fn log(&mut self) -> Vec<LogLine> {
        let lines = self.dice.roll(70).saturating_sub(30);
        // Some are told again.
        let from = self.lines.saturating_sub(5);
        self.lines = from + lines;
        (from..from + lines)
            .map(|number| LogLine::new(number, Timestamp(number), format!("line {number}")))
            .collect()
    }

    fn history(&mut self) -> Option<Arc<str>> {
        let history = |dice: &mut Dice| format!("[{}, \"\0 ✓\"]", dice.roll(100)).into();
        self.dice.maybe(history)
    }

    async fn create(&mut self) {
        let dice = &mut self.dice;
        let mut new = task(dice.pick(&TOOLS));
        new.principal = dice.maybe(|dice| Principal::new(dice.pick(&["", "x", "=x"])));
        let arguments = dice.roll(3);
        new.arguments = format!("{{\"a\":{arguments}}}").into();
        new.key = dice.maybe(|dice| {
            let key = format!("key {}", dice.roll(6));
            TaskKey::new(key, fingerprint(arguments))
        });
        new.dedupe = dice.maybe(|_| fingerprint(arguments));
        new.concurrency = ["k", "l"]
            .into_iter()
            .filter_map(|key| {
                let limit = 1 + u32::from(dice.roll(2) == 0);
                dice.maybe(|_| ConcurrencyLimit::new(key, limit))
            })
            .collect();
        new.max_attempts = 1 + u32::from(dice.roll(2) == 0);
        new.notify = dice.roll(2) == 0;
        new.origin = dice.maybe(|dice| {
            let mut origin = Origin::new();
            origin.traceparent = dice.maybe(|_| "it's \"\0\" ✓".into());
            origin.callback_url = dice.maybe(|_| "https://x".into());
            origin.into()
        });
        let mut admission = Admission::new(4, 8);
        admission.principal_queue = dice.maybe(|_| 2);
        if let Some(lease) = dice.maybe(|dice| dice.pick(&self.sessions)) {
            admission = admission.claimed_by(lease);
        }
        let id = new.id;
        let model = self.model.create(new.clone(), admission).await;
        let store = self.store.create(new, admission).await;
        let described = |created: Result<Created, StoreError>| match created.expect("it works") {
            Created::New(record) => (0, Some(record), None, None),
            Created::Existing(mut record) => {
                record.arguments = Arc::default();
                (1, Some(record), None, None)
            }
            Created::Conflict(id) => (2, None, Some(id), None),
            Created::Full(limit) => (3, None, None, Some(limit)),
        };
        let store = described(store);
        if store.0 == 0 {
            self.ids.push(id);
        }
        same("create", described(model), store);
    }

    async fn claim(&mut self) {
        let lease = self.dice.pick(&self.sessions);
        let wants: Vec<Want> = TOOLS
            .iter()
            .map(|tool| Want::new((*tool).into(), self.dice.index(3)))
            .collect();
        let limit = self.dice.index(5);
        let model = self.model.claim(lease, &wants, limit).await;
        let store = self.store.claim(lease, &wants, limit).await;
        let claimed = model.expect("memory works");
        same("claim", claimed, store.expect("it works"));
    }

    async fn beat(&mut self) {
        let lease = self.dice.pick(&self.sessions);
        let mut reports = Vec::new();
        for _ in 0..self.dice.roll(4) {
            let id = self.id();
            let epoch = self.epoch(id).await;
            self.reports += 1;
            self.revision += self.dice.roll(2);
            let number = self.reports - self.dice.roll(2).min(self.reports);
            let progress = ProgressState {
                message: Some(format!("report {}", self.reports)),
                fraction: Some(0.1 * self.dice.roll(10) as f64),
                ..ProgressState::default()
            };
            let mut report = Report::new(id, epoch, number, progress, self.revision);
            report.log = self.log();
            report.history = self.history();
            reports.push(report);
        }
        let sorted = |beat: Result<Beat, StoreError>| {
            let mut owned = beat.expect("it works").owned;
            owned.sort_by_key(|owned| owned.id);
            owned
        };
        let model = self.model.beat(lease, reports.clone()).await;
        let store = self.store.beat(lease, reports).await;
        same("beat", sorted(model), sorted(store));
    }

    async fn finish(&mut self) {
        let id = self.id();
        let epoch = self.epoch(id).await;
        self.revision += self.dice.roll(2);
        let outcome = match self.dice.roll(4) {
            0 => Outcome::Failed(Box::new(TaskFailure::new("odd", "it was odd"))),
            1 => Outcome::Cancelled("enough".into()),
            _ => Outcome::Completed(format!("[{}]", self.dice.roll(100)).into()),
        };
        let mut end = End::new(outcome, self.revision);
        if self.dice.roll(4) == 0 {
            end = End::ahead(self.revision);
        }
        end.lingers = self.dice.roll(4) == 0;
        end.log = self.log();
        end.history = self.history();
        let model = self.model.finish(id, epoch, end.clone()).await;
        let store = self.store.finish(id, epoch, end).await;
        same("finish", model.ok(), store.ok());
    }

    async fn release(&mut self) {
        let id = match self.dice.roll(2) {
            0 => self.id(),
            _ => self.id_of(|record| record.input.is_some()).await,
        };
        let epoch = self.epoch(id).await;
        let release = match self.dice.roll(3) {
            0 => Release::NotStarted,
            1 => Release::Stopped,
            _ => {
                let pause = Duration::from_secs(self.dice.roll(20));
                self.revision += 1;
                let log = self.log();
                let mut retry = Retry::new(pause, "again", self.revision).with_log(log);
                retry.history = self.history();
                Release::Retry(retry)
            }
        };
        let model = self.model.release(id, epoch, release.clone()).await;
        let store = self.store.release(id, epoch, release).await;
        same("release", model.expect("memory"), store.expect("it works"));
    }

    async fn put_result(&mut self) {
        let id = self.id();
        let epoch = self.epoch(id).await;
        let result: Arc<str> = format!("\"large {}\"", self.dice.roll(100)).into();
        let model = self.model.put_result(id, epoch, Arc::clone(&result)).await;
        let store = self.store.put_result(id, epoch, result).await;
        same("put_result", model.ok(), store.ok());
    }

    async fn record_step(&mut self) {
        let id = self.id();
        let epoch = self.epoch(id).await;
        let name = self.dice.pick(&["one", "two", "three"]);
        let step = StepRecord::new(name, self.dice.roll(100).to_string());
        let model = self.model.record_step(id, epoch, step.clone()).await;
        let store = self.store.record_step(id, epoch, step).await;
        same("record_step", model.ok(), store.ok());
    }

    async fn ask(&mut self) {
        let asked_before = self.dice.roll(2) == 0;
        let id = self
            .id_of(|record| {
                let works = record.owner.is_some() && !record.status.is_terminal();
                works && (record.input.is_some() || !asked_before)
            })
            .await;
        let epoch = self.epoch(id).await;
        self.revision += self.dice.roll(2);
        let mut questions = Vec::new();
        for key in KEYS {
            if self.dice.roll(2) == 0 {
                let message = self.dice.pick(&["sure?", "it's \"\0\u{1}0\" ✓/\\"]);
                let schema = self.dice.pick(&["true", r#"{"b": [], "a" : {"x": 1.10}}"#]);
                questions.push(Question::new(key, message, schema, Epoch::default()));
            }
        }
        if self.dice.roll(2) == 0 {
            questions.reverse();
        }
        // Now and then more than are kept of two attempts together.
        if self.dice.roll(8) == 0 {
            let first = 20 * self.dice.roll(3);
            questions.extend(
                (first..first + 40)
                    .map(|number| Question::new(number.to_string(), "", "true", Epoch::default())),
            );
        }
        // Often the same again.
        match self.dice.roll(3) {
            0 => questions.clone_from(&self.asked),
            _ => self.asked.clone_from(&questions),
        }
        let revision = self.revision;
        let model = self.model.ask(id, epoch, questions.clone(), revision).await;
        let store = self.store.ask(id, epoch, questions, revision).await;
        same("ask", model.expect("memory"), store.expect("it works"));
        self.look_at(id).await;
    }

    async fn answer(&mut self) {
        let id = self.id_of(|record| record.input.is_some()).await;
        let known = self.model.get(id).await.expect("memory works");
        let known = known.and_then(|record| record.input.clone());
        let asked = known.iter().flat_map(|input| &input.questions);
        let mut keys: Vec<Arc<str>> = asked.map(|question| Arc::clone(&question.key)).collect();
        if keys.is_empty() || self.dice.roll(3) == 0 {
            keys = KEYS.map(Arc::from).to_vec();
        }
        let key = &*self.dice.pick(&keys);
        let answer: Arc<str> = format!("\"{} \\u0000 ✓\"", self.dice.roll(100)).into();
        let model = self.model.answer(id, key, Arc::clone(&answer)).await;
        let store = self.store.answer(id, key, answer).await;
        let (model, store) = (model.expect("memory"), store.expect("it works"));
        same("answer", model, store);
    }

    async fn cancel(&mut self) {
        let id = self.id();
        let reason: Arc<str> = self.dice.pick(&["", "enough"]).into();
        let model = self.model.request_cancel(id, Arc::clone(&reason)).await;
        let store = self.store.request_cancel(id, reason).await;
        same("request_cancel", model.ok(), store.ok());
    }

    async fn look_at(&mut self, id: TaskId) {
        let model = self.model.get(id).await.expect("memory works");
        same("get", model, self.store.get(id).await.expect("it works"));
        let model = self.model.log(id, 40).await.expect("memory works");
        same("log", model, self.store.log(id, 40).await.expect("works"));
        let model = self.model.steps(id).await.expect("memory works");
        same("steps", model, self.store.steps(id).await.expect("works"));
    }

    async fn list(&mut self) {
        let owner = match self.dice.roll(3) {
            0 => Owner::Anybody,
            1 => Owner::Nobody,
            _ => Owner::Principal(Principal::new(self.dice.pick(&["", "x"]))),
        };
        let mut filter = Filter::of(owner);
        filter.tool = self.dice.maybe(|dice| dice.pick(&TOOLS).into());
        filter.status = self.dice.maybe(|dice| {
            dice.pick(&[
                Status::Queued,
                Status::Working,
                Status::InputRequired,
                Status::Completed,
                Status::Failed,
            ])
        });
        let limit = 1 + self.dice.index(5);
        let mut after = None;
        loop {
            let model = self.model.list(&filter, after, limit).await;
            let store = self.store.list(&filter, after, limit).await;
            let page = model.expect("memory works");
            after = page.last().map(Cursor::of);
            same("list", page, store.expect("it works"));
            if after.is_none() {
                break;
            }
        }
    }

    async fn pass_time(&mut self, pass: &impl AsyncFn(Duration)) {
        // No sum of these is a lease: who is dead must not depend on how quick
        // this machine is.
        pass(Duration::from_secs(4 * self.dice.roll(3))).await;
        let sorted = |reaped: Result<Reaped, StoreError>| {
            let mut reaped = reaped.expect("it works");
            for ids in [
                &mut reaped.requeued,
                &mut reaped.interrupted,
                &mut reaped.expired,
                &mut reaped.purged,
            ] {
                ids.sort();
            }
            reaped.next = None;
            reaped
        };
        let model = self.model.reap(1000).await;
        let store = self.store.reap(1000).await;
        same("reap", sorted(model), sorted(store));
    }
}
