//! A file that cannot be written for a while, or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use async_tool::SqliteStore;
use async_tool::testing::Answer;
use rusqlite::Connection;
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep, sleep_until};

use super::arena::Scene;
use super::client::Client;
use super::host::{Host, Process, program};

const END: Duration = Duration::from_secs(60);

/// Such that a busy machine does not lose it by itself.
const LEASE: Duration = Duration::from_millis(1500);

/// How long the store is away.
const OUTAGE: Duration = Duration::from_secs(10);

/// A server with tasks on their way.
struct Busy {
    process: Process,
    client: Client,
    /// It may be started again.
    staged: String,
    /// It may not.
    once: String,
}

impl Busy {
    async fn start(host: &Host, millis: u64) -> Self {
        Self::with(host.start().await, millis).await
    }

    async fn with(process: Process, millis: u64) -> Self {
        let client = Client::connect(process.address).await.expect("connects");
        let arguments = json!({"number": 1, "millis": millis});
        let staged = client.ask("staged_initiate", arguments.clone()).await;
        let once = client.ask("once_initiate", arguments).await;
        Self {
            staged: staged.id().to_owned(),
            once: once.id().to_owned(),
            process,
            client,
        }
    }

    /// A call that has to be written.
    async fn initiate(&self) -> Answer {
        let arguments = json!({"number": 2, "millis": 1});
        self.client.ask("once_initiate", arguments).await
    }

    /// What was stopped is settled as its tool allows, and all works again.
    async fn heals(self) {
        let end = Instant::now() + END;
        let once = self.client.finish("once", &self.once, end).await;
        assert_eq!(once.error_code(), Some("interrupted"), "{}", once.text);
        let staged = self.client.finish("staged", &self.staged, end).await;
        assert_eq!(staged["result"], 10, "{}", staged.text);
        // A busy machine may cost it the lease once more.
        assert_ne!(staged["attempt"].as_u64(), None, "{}", staged.text);
        let new = self.initiate().await;
        let new = self.client.finish("once", new.id(), end).await;
        assert_eq!(new["result"], 4, "{}", new.text);
        drop(self.process);
    }
}

/// Keeps everybody else from writing.
fn lock(host: &Host) -> Connection {
    let connection = Connection::open(host.database()).expect("opens");
    connection
        .busy_timeout(Duration::from_secs(5))
        .expect("is set");
    connection
        .execute_batch("BEGIN EXCLUSIVE")
        .expect("gets the lock");
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_kept_stops_attempts_and_refuses_calls_until_it_is_gone() {
    let scene = Scene::new();
    let mut host = scene.host();
    host.lease = LEASE;
    let busy = Busy::start(&host, 3_000).await;
    let lock = lock(&host);
    let unlock = Instant::now() + OUTAGE;
    // It takes the store a while to lose patience. Reading goes on.
    let mut refused = Box::pin(busy.initiate());
    let seen = tokio::select! {
        seen = busy.client.status("once", &busy.once) => seen,
        refused = &mut refused => panic!("sooner than a read: {}", refused.text),
    };
    assert_eq!(seen["status"], "working", "{}", seen.text);
    let refused = refused.await;
    assert_eq!(
        refused.error_code(),
        Some("store_unavailable"),
        "{}",
        refused.text
    );
    assert_eq!(refused["error"]["retryable"], true);
    sleep_until(unlock).await;
    drop(lock);
    busy.heals().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_gone_before_the_lease_costs_nothing() {
    let scene = Scene::new();
    let mut host = scene.host();
    host.lease = Duration::from_secs(30);
    let busy = Busy::start(&host, 500).await;
    let lock = lock(&host);
    let unlock = async {
        sleep(Duration::from_secs(1)).await;
        drop(lock);
    };
    let (new, ()) = futures_util::future::join(busy.initiate(), unlock).await;
    let end = Instant::now() + END;
    for (tool, id) in [
        ("once", &*busy.once),
        ("staged", &*busy.staged),
        ("once", new.id()),
    ] {
        let ended = busy.client.finish(tool, id, end).await;
        assert_eq!(ended["status"], "completed", "{}", ended.text);
        assert!(ended["attempt"].is_null(), "at once: {}", ended.text);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_attempts_and_refuses_calls_until_there_is_room() {
    const ROOM: u64 = 64 * 1024;
    let scene = Scene::new();
    let mut host = scene.host();
    host.lease = LEASE;
    // A file that would get too large is an error, and not the end.
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]);
    shell.arg(program());
    let starting = host.spawn_by(shell).expect("a shell");
    let process = starting.serves().await.expect("the server starts");
    let busy = Busy::with(process, 4_000).await;

    let log = host.database().with_extension("db-wal");
    let size = fs::metadata(&log).expect("is there").len();
    assert!(size > ROOM, "nothing would have to grow: {size}");
    busy.process.limit_files(Some(ROOM));
    let since = Instant::now();
    while since.elapsed() < OUTAGE {
        let refused = busy.initiate().await;
        assert_eq!(
            refused.error_code(),
            Some("store_unavailable"),
            "{}",
            refused.text
        );
        let seen = busy.client.status("once", &busy.once).await;
        assert_eq!(seen["status"], "working", "{}", seen.text);
        sleep(Duration::from_millis(50)).await;
    }
    busy.process.limit_files(None);
    busy.heals().await;
}

/// Why a server does not start.
async fn refusal(host: &Host) -> String {
    let started = host.spawn().serves().await;
    started.err().expect("the server does not start")
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_at_the_start_and_left_alone() {
    let scene = Scene::new();
    let host = scene.host();
    let text = "Dear diary, ".repeat(1000);
    fs::write(host.database(), &text).expect("writes");
    let error = refusal(&host).await;
    assert!(error.contains("no SQLite database"), "{error}");
    let left = fs::read_to_string(host.database()).expect("reads");
    assert_eq!(left, text);
}

#[tokio::test]
async fn a_damaged_file_is_refused_at_the_start() {
    let scene = Scene::new();
    let host = scene.host();
    let store = SqliteStore::open(host.database()).await.expect("opens");
    store.close().await;
    damage(&host.database());
    let error = refusal(&host).await;
    assert!(error.contains("the file is damaged"), "{error}");
}

/// Overwrites everything but the header.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).expect("reads");
    bytes[100..].fill(0xAA);
    fs::write(path, bytes).expect("writes");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused_at_the_start() {
    let scene = Scene::new();
    let host = scene.host();
    let store = SqliteStore::open(host.database()).await.expect("opens");
    store.close().await;
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("is set");
    };
    set_mode(&host.database(), 0o444);
    set_mode(scene.path(), 0o555);

    let mut command = Command::new(program());
    if rustix::process::geteuid().is_root() {
        // For root there are no such permissions.
        const NOBODY: u32 = 65_534;
        command.uid(NOBODY);
    }
    match host.spawn_by(command) {
        Ok(starting) => {
            let error = starting.serves().await.err().expect("it does not start");
            assert!(error.contains("cannot be written"), "{error}");
        }
        // Nobody may not execute what root alone can reach.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
    set_mode(scene.path(), 0o755);
}
