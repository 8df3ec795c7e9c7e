//! Memory that fails in every way that a store can.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_tool::MemoryStore;
use async_tool::store::{
    Admission, Answered, Beat, CancelAck, Change, Created, Cursor, End, Epoch, Filter, Lease,
    LogLine, NewTask, OpenStore, Purged, Question, Reaped, Refused, Release, Report, Stats,
    StepRecord, Store, StoreError, TaskId, TaskRecord, Told, Want,
};
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream::BoxStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What has become of a store's stream of changes.
#[derive(Debug, Default)]
struct Channel {
    /// It tells nothing.
    silent: AtomicBool,
    /// Streams given out so far end with the one that is here.
    epoch: Mutex<CancellationToken>,
    /// How many there were.
    streams: AtomicUsize,
    /// When tasks were read.
    reads: Mutex<Vec<Instant>>,
}

impl Channel {
    fn note_read(&self) {
        self.reads.lock().expect("no panic").push(Instant::now());
    }
}

/// Memory that can be cut off.
#[derive(Clone, Default)]
pub(crate) struct Flaky {
    inner: MemoryStore,
    faults: Arc<Faults>,
}

/// What is wrong with it at the moment.
#[derive(Debug, Default)]
struct Faults {
    channel: Channel,
    down: AtomicBool,
    lose_answer: AtomicBool,
    late: AtomicBool,
    disown: AtomicBool,
    hang: AtomicBool,
    mute: AtomicBool,
    /// How often it was asked how much is in it.
    stats: AtomicUsize,
}

/// One namespace of it.
struct FlakyNamespace {
    inner: Arc<dyn Store>,
    faults: Arc<Faults>,
}

impl Flaky {
    pub(crate) fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            faults: Arc::default(),
        }
    }

    /// The next create works, and its caller never learns it.
    pub(crate) fn lose_next_answer(&self) {
        self.faults.lose_answer.store(true, Ordering::SeqCst);
    }

    /// Whether creates are carried out and not answered for now.
    pub(crate) fn set_late(&self, late: bool) {
        self.faults.late.store(late, Ordering::SeqCst);
    }

    /// Heartbeats are answered as if everything had been taken over.
    pub(crate) fn disown(&self) {
        self.faults.disown.store(true, Ordering::SeqCst);
    }

    /// Whether heartbeats get no answer.
    pub(crate) fn set_hanging(&self, hanging: bool) {
        self.faults.hang.store(hanging, Ordering::SeqCst);
    }

    /// Whether it does not say how much is in it.
    pub(crate) fn set_mute(&self, mute: bool) {
        self.faults.mute.store(mute, Ordering::SeqCst);
    }

    /// How often it was asked how much is in it, since this was asked last.
    pub(crate) fn take_stats(&self) -> usize {
        self.faults.stats.swap(0, Ordering::SeqCst)
    }

    /// No change is told any more.
    pub(crate) fn silence(&self) {
        self.faults.channel.silent.store(true, Ordering::SeqCst);
    }

    /// The streams of changes end; the next ones do not.
    pub(crate) fn end_streams(&self) {
        let mut epoch = self.faults.channel.epoch.lock().expect("no panic");
        std::mem::take(&mut *epoch).cancel();
    }

    /// The streams of changes end, the next ones as soon as they begin.
    pub(crate) fn end_streams_for_good(&self) {
        let ended = CancellationToken::new();
        ended.cancel();
        let mut epoch = self.faults.channel.epoch.lock().expect("no panic");
        std::mem::replace(&mut *epoch, ended).cancel();
    }

    /// How many streams of changes were asked for.
    pub(crate) fn streams(&self) -> usize {
        self.faults.channel.streams.load(Ordering::SeqCst)
    }

    /// When tasks were read since this was asked last.
    pub(crate) fn take_reads(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.faults.channel.reads.lock().expect("no panic"))
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.faults.down.store(down, Ordering::SeqCst);
    }
}

impl FlakyNamespace {
    fn up(&self) -> Result<&Arc<dyn Store>, StoreError> {
        if self.faults.down.load(Ordering::SeqCst) {
            Err(StoreError::new("secret-host:5432 refused the connection"))
        } else {
            Ok(&self.inner)
        }
    }
}

#[async_trait]
impl OpenStore for Flaky {
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError> {
        if self.faults.down.load(Ordering::SeqCst) {
            return Err(StoreError::new("nobody there"));
        }
        Ok(Arc::new(FlakyNamespace {
            inner: self.inner.open(namespace).await?,
            faults: Arc::clone(&self.faults),
        }))
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.inner.namespaces().await
    }
}

/// Forwards verbs to the memory while it is not cut off.
macro_rules! forward {
    (
        $($verb:ident($($name:ident: $type:ty),*) -> $answer:ty;)*
        { $($by_hand:tt)* }
    ) => {
        #[async_trait]
        impl Store for FlakyNamespace {
            $(
                async fn $verb(&self, $($name: $type),*) -> Result<$answer, StoreError> {
                    self.up()?.$verb($($name),*).await
                }
            )*
            $($by_hand)*
        }
    };
}

forward! {
    claim(lease: Lease, wants: &[Want], limit: usize) -> Vec<TaskRecord>;
    finish(id: TaskId, epoch: Epoch, end: End) -> Result<(), Refused>;
    release(id: TaskId, epoch: Epoch, release: Release) -> Result<(), Refused>;
    put_result(id: TaskId, epoch: Epoch, result: Arc<str>) -> Result<(), Refused>;
    record_step(id: TaskId, epoch: Epoch, step: StepRecord) -> Result<(), Refused>;
    steps(id: TaskId) -> Vec<StepRecord>;
    log(id: TaskId, limit: usize) -> Vec<LogLine>;
    list(filter: &Filter, after: Option<Cursor>, limit: usize) -> Vec<TaskRecord>;
    ask(id: TaskId, epoch: Epoch, questions: Vec<Question>, revision: u64) -> Result<(), Refused>;
    answer(id: TaskId, key: &str, answer: Arc<str>) -> Option<Answered>;
    request_cancel(id: TaskId, reason: Arc<str>) -> Option<CancelAck>;
    reap(limit: usize) -> Reaped;
    claim_notices(pause: Duration, limit: usize) -> Vec<TaskRecord>;
    settle_notice(told: Told) -> bool;
    purge(id: TaskId) -> Option<Purged>;
    {
        async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError> {
            let created = self.up()?.create(new, admission).await;
            while self.faults.late.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if self.faults.lose_answer.swap(false, Ordering::SeqCst) {
                return Err(StoreError::new("the connection broke"));
            }
            created
        }

        async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError> {
            if self.faults.hang.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let mut beat = self.up()?.beat(lease, reports).await?;
            if self.faults.disown.load(Ordering::SeqCst) {
                beat.owned.clear();
            }
            Ok(beat)
        }

        async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
            self.faults.channel.note_read();
            self.up()?.get(id).await
        }

        async fn stats(&self) -> Result<Stats, StoreError> {
            self.faults.stats.fetch_add(1, Ordering::SeqCst);
            if self.faults.mute.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            self.up()?.stats().await
        }

        fn changes(&self) -> BoxStream<'static, Change> {
            let channel = &self.faults.channel;
            channel.streams.fetch_add(1, Ordering::SeqCst);
            let epoch = channel.epoch.lock().expect("no panic").clone();
            let faults = Arc::clone(&self.faults);
            let heard = move |_: &Change| ready(!faults.channel.silent.load(Ordering::SeqCst));
            self.inner
                .changes()
                .filter(heard)
                .take_until(epoch.cancelled_owned())
                .boxed()
        }
    }
}
