//! A server that is connected to, as its namespaces see it.

use std::sync::Arc;

use ::redis::{Client, Cmd, Value};

use super::address;
use super::changes::Changes;
use super::check::{check, is_in_cluster, survey};
use super::disk::Disk;
use super::error::{failed, say};
use super::link::{Link, Patience};
use super::names;
use super::script::{Arguments, Script};
use crate::engine::Clock;
use crate::store::driver::Driver;
use crate::store::{Inspection, StoreError};
use crate::task::{TaskId, Timestamp};

/// What is larger is not copied by a script; as `INLINE` in `prelude.lua`.
const LARGE: usize = 65_536;
/// How many seconds a large value waits for the script that puts it in its
/// place.
const STAGED: u64 = 600;

#[derive(Debug, Clone)]
pub(super) struct Handle {
    driver: Driver,
    link: Link,
    pub(super) changes: Changes,
    /// Where what has to be durable waits for the disk.
    disk: Option<Disk>,
    pub(super) prefix: Arc<str>,
    /// The newest format of a record that is known.
    pub(super) format: u32,
    /// Instead of the server's clock, for tests.
    clock: Option<Clock>,
}

/// What applications and tests turn.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) prefix: Arc<str>,
    pub(super) max_records: usize,
    pub(super) wait_aof: bool,
    /// The newest format of a record that is known; an older version's in tests.
    pub(super) format: u32,
    /// Instead of the server's.
    pub(super) clock: Option<Clock>,
    pub(super) patience: Patience,
}

impl Handle {
    pub(super) async fn open(url: &str, options: Options) -> Result<Self, StoreError> {
        let client: Client = address::locate(url)?;
        let driver = Driver::start("async-tool-redis")?;
        let link = Link::new(client.clone(), options.patience);
        let wait_aof = options.wait_aof;
        let checking = async move {
            let warnings = check(&link, wait_aof).await?;
            let link = match is_in_cluster(&link).await {
                true if wait_aof => Err(say("`wait_aof` is not for clusters")),
                true => of_cluster(&link),
                false => Ok(link),
            };
            Ok((link?, warnings))
        };
        let (link, warnings) = driver.call(checking).await?;
        for warning in warnings {
            tracing::warn!("Redis store: {warning}");
        }
        let (changes, listening) = Changes::new(client.clone());
        driver.spawn(listening);
        let disk = wait_aof.then(|| {
            let (disk, syncing) = Disk::new(client, format!("{}:synced", options.prefix));
            driver.spawn(syncing);
            disk
        });
        Ok(Self {
            driver,
            link,
            changes,
            disk,
            prefix: options.prefix,
            format: options.format,
            clock: options.clock,
        })
    }

    /// What a server tells about itself, which nothing is written to.
    pub(super) async fn inspect(url: &str) -> Result<Inspection, StoreError> {
        let link = Link::new(address::locate(url)?, Patience::default());
        let driver = Driver::start("async-tool-redis")?;
        let surveyed = driver.call(async move { survey(&link, false).await });
        let survey = surveyed.await?;
        let mut inspection = Inspection::new(survey.engine);
        let findings = survey.findings.into_iter();
        inspection.warnings = findings.map(|finding| finding.text).collect();
        Ok(inspection)
    }

    /// Does something on the thread of the connections, to its end.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.driver.call(call).await
    }

    /// The time of a test, as it is for whoever asks.
    pub(super) fn now(&self) -> Option<Timestamp> {
        self.clock.as_ref().map(Clock::now)
    }

    pub(super) async fn run(
        &self,
        script: &Script,
        base: &str,
        arguments: &Arguments,
    ) -> Result<Value, StoreError> {
        self.link.run(script, base, arguments).await
    }

    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.link.send(command).await.map_err(failed)
    }

    /// The namespaces that have tasks, sorted.
    pub(super) async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        let (link, prefix) = (self.link.clone(), Arc::clone(&self.prefix));
        let names = async move { names::with_tasks(&link, &prefix).await };
        Ok(self.call(names).await?.into_iter().collect())
    }

    /// What `large` in `prelude.lua` reads: the value, or where it waits.
    pub(super) async fn large(
        &self,
        base: &str,
        arguments: Arguments,
        value: &str,
    ) -> Result<Arguments, StoreError> {
        if value.len() <= LARGE {
            return Ok(arguments.text("v").text(value));
        }
        let key = format!("{base}p:{}", TaskId::random());
        let mut set = ::redis::cmd("SET");
        set.arg(&key).arg(value).arg("EX").arg(STAGED);
        self.send(&set).await?;
        Ok(arguments.text("s").bytes(key))
    }

    /// Completes when what was answered is as durable as was asked for.
    pub(super) async fn durable(&self) -> Result<(), StoreError> {
        match &self.disk {
            Some(disk) => disk.wait().await,
            None => Ok(()),
        }
    }
}

#[cfg(feature = "redis-cluster")]
fn of_cluster(link: &Link) -> Result<Link, StoreError> {
    link.of_cluster()
}

#[cfg(not(feature = "redis-cluster"))]
fn of_cluster(_: &Link) -> Result<Link, StoreError> {
    Err(say(
        "the server is one of a cluster, and this program was built without the feature `redis-cluster`",
    ))
}
