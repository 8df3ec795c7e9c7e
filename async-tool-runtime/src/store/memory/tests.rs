//! What the memory store has beyond the contract, and some of that on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::engine::Clock;
use crate::store::*;

const LEASE: Duration = Duration::from_secs(15);

struct Fixture {
    store: Arc<dyn Store>,
    all: MemoryStore,
}

impl Fixture {
    async fn new() -> Self {
        let all = MemoryStore::with_clock(Clock::tokio()).max_records(10);
        let store = all.open("test").await.expect("memory opens");
        Self { store, all }
    }

    async fn create(&self, new: NewTask) -> Created {
        let admission = Admission::new(3, 4);
        self.store
            .create(new, admission)
            .await
            .expect("memory works")
    }

    async fn queued(&self, tool: &str) -> TaskId {
        match self.create(task(tool)).await {
            Created::New(record) => record.id,
            other => panic!("{other:?}"),
        }
    }

    async fn claim(&self, lease: Lease, tool: &str, limit: usize) -> Vec<TaskRecord> {
        let wants = [Want::new(tool.into(), 10)];
        self.store
            .claim(lease, &wants, limit)
            .await
            .expect("memory works")
    }

    async fn get(&self, id: TaskId) -> Option<TaskRecord> {
        self.store.get(id).await.expect("memory works")
    }

    async fn finish(&self, record: &TaskRecord, result: &str) -> Result<(), Refused> {
        let end = End::new(Outcome::Completed(result.into()), record.revision);
        self.store
            .finish(record.id, record.epoch, end)
            .await
            .expect("memory works")
    }
}

fn task(tool: &str) -> NewTask {
    NewTask::new(
        TaskId::random(),
        tool,
        "{}",
        Duration::from_secs(100),
        Duration::from_secs(60),
    )
}

fn keyed(key: &str, arguments: &str) -> NewTask {
    let value = serde_json::from_str(arguments).expect("JSON");
    NewTask {
        key: Some(TaskKey {
            key: key.into(),
            fingerprint: Fingerprint::of("t", &value),
        }),
        arguments: arguments.into(),
        ..task("t")
    }
}

fn lease() -> Lease {
    Lease::new(SessionId::random(), LEASE)
}

#[tokio::test(start_paused = true)]
async fn a_key_finds_its_task_whatever_the_limits_are() {
    let fixture = Fixture::new().await;
    let Created::New(first) = fixture.create(keyed("k", "{}")).await else {
        panic!("new");
    };
    for _ in 0..2 {
        fixture.queued("t").await;
    }
    assert!(matches!(
        fixture.create(task("t")).await,
        Created::Full(Limit::ToolQueue(3))
    ));
    match fixture.create(keyed("k", "{}")).await {
        Created::Existing(record) => assert_eq!(record.id, first.id),
        other => panic!("{other:?}"),
    }
    match fixture.create(keyed("k", r#"{"a":1}"#)).await {
        Created::Conflict(id) => assert_eq!(id, first.id),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_scoped_by_principal_and_tool_and_namespace() {
    let fixture = Fixture::new().await;
    fixture.create(keyed("k", "{}")).await;
    let other_principal = NewTask {
        principal: Some(Principal::new("somebody")),
        ..keyed("k", "{}")
    };
    assert!(matches!(
        fixture.create(other_principal).await,
        Created::New(_)
    ));
    let other_tool = NewTask {
        tool: "u".into(),
        ..keyed("k", "{}")
    };
    assert!(matches!(fixture.create(other_tool).await, Created::New(_)));
    let elsewhere = fixture.all.open("elsewhere").await.expect("memory opens");
    let created = elsewhere
        .create(keyed("k", "{}"), Admission::new(1, 1))
        .await;
    assert!(matches!(created, Ok(Created::New(_))));
}

#[tokio::test(start_paused = true)]
async fn a_key_lives_as_long_as_its_record() {
    let fixture = Fixture::new().await;
    let Created::New(first) = fixture.create(keyed("k", "{}")).await else {
        panic!("new");
    };
    let claimed = fixture.claim(lease(), "t", 1).await;
    fixture.finish(&claimed[0], "1").await.expect("ours");
    advance(Duration::from_secs(59)).await;
    assert!(matches!(
        fixture.create(keyed("k", "{}")).await,
        Created::Existing(_)
    ));
    advance(Duration::from_secs(2)).await;
    assert!(
        fixture.get(first.id).await.is_none(),
        "expired is not found"
    );
    assert!(matches!(
        fixture.create(keyed("k", "{}")).await,
        Created::New(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn of_many_creates_with_one_key_one_is_new() {
    let fixture = Fixture::new().await;
    let created =
        futures_util::future::join_all((0..64).map(|_| fixture.create(keyed("k", "{}")))).await;
    let new = created
        .iter()
        .filter(|c| matches!(c, Created::New(_)))
        .count();
    assert_eq!(new, 1);
}

#[tokio::test(start_paused = true)]
async fn limits_refuse_and_name_themselves() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        fixture.queued("t").await;
    }
    fixture.queued("u").await;
    let created = fixture.create(task("u")).await;
    assert!(
        matches!(created, Created::Full(Limit::Queue(4))),
        "{created:?}"
    );

    while !fixture.claim(lease(), "t", 1).await.is_empty() {}
    while !fixture.claim(lease(), "u", 1).await.is_empty() {}
    for tool in ["a", "b", "c", "d"] {
        fixture.queued(tool).await;
        fixture.claim(lease(), tool, 1).await;
    }
    fixture.queued("e").await;
    fixture.queued("e").await;
    let created = fixture.create(task("e")).await;
    assert!(
        matches!(created, Created::Full(Limit::Records(10))),
        "{created:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_claiming_create_claims_only_if_nothing_waits() {
    let fixture = Fixture::new().await;
    // No queue at all: what starts at once needs none.
    let claiming = Admission {
        claim: Some(lease()),
        ..Admission::new(0, 0)
    };
    let create = async |tool| match fixture.store.create(task(tool), claiming).await {
        Ok(Created::New(record)) => Some((record.status, record.attempt)),
        Ok(Created::Full(Limit::ToolQueue(0))) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(create("t").await, Some((Status::Working, 1)));
    fixture.queued("t").await;
    assert_eq!(create("t").await, None, "behind those that wait");
    assert_eq!(
        create("u").await,
        Some((Status::Queued, 0)),
        "another tool's task has waited longer for the slot"
    );
}

#[tokio::test(start_paused = true)]
async fn claims_are_oldest_first_within_room_and_limit() {
    let fixture = Fixture::new().await;
    let first = fixture.queued("t").await;
    let second = fixture.queued("u").await;
    let third = fixture.queued("t").await;
    let wants = [Want::new("t".into(), 1), Want::new("u".into(), 5)];
    let claimed = fixture.store.claim(lease(), &wants, 10).await;
    let ids: Vec<TaskId> = claimed.expect("works").iter().map(|r| r.id).collect();
    assert_eq!(ids, [first, second]);
    let again = fixture.claim(lease(), "t", 10).await;
    assert_eq!(again.iter().map(|r| r.id).collect::<Vec<_>>(), [third]);
}

#[tokio::test(start_paused = true)]
async fn a_released_task_gets_its_old_place_back() {
    let fixture = Fixture::new().await;
    let first = fixture.queued("t").await;
    fixture.queued("t").await;
    let claimed = fixture.claim(lease(), "t", 1).await;
    let released = fixture
        .store
        .release(first, claimed[0].epoch, Release::NotStarted)
        .await;
    assert_eq!(released.expect("works"), Ok(()));
    let again = fixture.claim(lease(), "t", 1).await;
    assert_eq!((again[0].id, again[0].attempt), (first, 1));
    assert!(again[0].epoch > claimed[0].epoch);
    assert_eq!(fixture.finish(&claimed[0], "1").await, Err(Refused::Fenced));
}

#[tokio::test(start_paused = true)]
async fn invariant_5_a_dead_session_is_fenced_and_its_tasks_are_ended() {
    let fixture = Fixture::new().await;
    let (dead, alive) = (lease(), lease());
    let first = fixture.queued("t").await;
    let second = fixture.queued("u").await;
    let claimed = fixture.claim(dead, "t", 1).await;
    fixture.claim(alive, "u", 1).await;
    advance(Duration::from_secs(10)).await;
    fixture.store.beat(alive, Vec::new()).await.expect("works");
    assert_eq!(fixture.store.reap(10).await.expect("works").interrupted, []);
    advance(Duration::from_secs(6)).await;
    let reaped = fixture.store.reap(10).await.expect("works");
    assert_eq!(reaped.interrupted, [first]);

    let record = fixture.get(first).await.expect("kept");
    assert_eq!(record.status, Status::Failed);
    assert_eq!(
        fixture.finish(&claimed[0], "1").await,
        Err(Refused::Terminal)
    );
    let report = Report::new(first, claimed[0].epoch, 1, ProgressState::default(), 9);
    let beat = fixture.store.beat(dead, vec![report]).await.expect("works");
    assert_eq!(beat.owned, []);
    assert_eq!(
        fixture.get(second).await.map(|record| record.status),
        Some(Status::Working)
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_a_working_task_comes_with_the_next_beat() {
    let fixture = Fixture::new().await;
    let lease = lease();
    let id = fixture.queued("t").await;
    fixture.claim(lease, "t", 1).await;
    let ack = fixture.store.request_cancel(id, "enough".into()).await;
    assert_eq!(ack.expect("works"), Some(CancelAck::Requested));
    let beat = fixture.store.beat(lease, Vec::new()).await.expect("works");
    let cancelled: Vec<_> = beat.owned.into_iter().map(|o| (o.id, o.cancel)).collect();
    assert_eq!(cancelled, [(id, Some(Arc::from("enough")))]);
    let unknown = fixture
        .store
        .request_cancel(TaskId::random(), "".into())
        .await;
    assert_eq!(unknown.expect("works"), None);
}

#[tokio::test(start_paused = true)]
async fn reap_ends_what_waited_too_long_and_purges_what_expired() {
    let fixture = Fixture::new().await;
    let id = fixture.queued("t").await;
    let reaped = fixture.store.reap(10).await.expect("works");
    assert_eq!(reaped.next, Some(Duration::from_secs(100)));
    advance(Duration::from_secs(100)).await;
    let reaped = fixture.store.reap(10).await.expect("works");
    assert_eq!(reaped.expired, [id]);
    match fixture.get(id).await.and_then(|record| record.outcome) {
        Some(Outcome::Failed(failure)) => assert_eq!(failure.code, "timed_out"),
        other => panic!("{other:?}"),
    }
    advance(Duration::from_secs(60)).await;
    let reaped = fixture.store.reap(10).await.expect("works");
    assert_eq!(reaped.purged, [id]);
}

#[tokio::test(start_paused = true)]
async fn changes_tell_of_every_kind_of_write() {
    use futures_util::{FutureExt, StreamExt};

    let fixture = Fixture::new().await;
    let mut changes = fixture.store.changes();
    let id = fixture.queued("t").await;
    assert_eq!(changes.next().await, Some(Change::Queued));
    let claimed = fixture.claim(lease(), "t", 1).await;
    assert_eq!(changes.next().await, Some(Change::Task(id)));
    fixture
        .store
        .request_cancel(id, "".into())
        .await
        .expect("works");
    assert_eq!(changes.next().await, Some(Change::Cancel(id)));
    assert_eq!(changes.next().await, Some(Change::Task(id)));
    fixture.finish(&claimed[0], "1").await.expect("ours");
    assert_eq!(changes.next().await, Some(Change::Task(id)));

    // Nobody can wait yet for what is claimed as it is created.
    let admission = Admission {
        claim: Some(lease()),
        ..Admission::new(3, 4)
    };
    let created = fixture.store.create(task("t"), admission).await;
    let Ok(Created::New(record)) = created else {
        panic!("{created:?}")
    };
    fixture.finish(&record, "1").await.expect("ours");
    assert_eq!(changes.next().await, Some(Change::Task(record.id)));
    assert_eq!(changes.next().now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_lags_behind_is_told_to_resync() {
    use futures_util::StreamExt;

    let fixture = Fixture::new().await;
    let lease = lease();
    let id = fixture.queued("t").await;
    let claimed = fixture.claim(lease, "t", 1).await;
    let mut changes = fixture.store.changes();
    for revision in 1..=5000 {
        let revision = claimed[0].revision + revision;
        let report = Report::new(
            id,
            claimed[0].epoch,
            revision,
            ProgressState::default(),
            revision,
        );
        fixture
            .store
            .beat(lease, vec![report])
            .await
            .expect("works");
    }
    assert_eq!(changes.next().await, Some(Change::Resync));
}
