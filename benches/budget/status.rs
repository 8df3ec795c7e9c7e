//! Status of one task among many against the only one.

use std::sync::Arc;

use async_tool::store::{OpenStore, Store};
use async_tool::{AsyncTools, SqliteStore, TaskId};

use crate::compare::Rounds;
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::http::HttpServer;
use crate::support::tools::{echo, echo_server_on, roomy_memory};
use crate::{disk, fill, process, row};

const MANY: usize = 100_000;
const OVER_TRANSPORT: Rounds = Rounds {
    rounds: 30,
    calls: 200,
    batch: 1,
};
const AT_THE_STORE: Rounds = Rounds {
    rounds: 30,
    calls: 200,
    batch: 100,
};
/// A read takes far longer than the clock.
const AT_SQLITE: Rounds = Rounds {
    batch: 5,
    ..AT_THE_STORE
};

/// The part that has tasks in a file.
pub(crate) const PART: &str = "status-sqlite";

/// A server whose store keeps some tasks, all of which have ended.
struct Retained {
    tools: AsyncTools,
    store: Arc<dyn Store>,
    ids: Vec<String>,
}

impl Retained {
    async fn in_memory(tasks: usize) -> Result<Self, BoxError> {
        let store = roomy_memory();
        let tools = echo_server_on(store.clone()).await?;
        let client = Client::duplex(tools.clone()).await?;
        let mut ids = Vec::with_capacity(tasks);
        for _ in 0..tasks {
            ids.push(client.initiate("echo_initiate", echo("hello")).await?);
        }
        if let Some(last) = ids.last() {
            client.completed("echo_status", last).await?;
        }
        Ok(Self {
            tools,
            store: store.open("default").await?,
            ids,
        })
    }

    async fn on(store: SqliteStore, tasks: usize) -> Result<Self, BoxError> {
        let tools = echo_server_on(store.clone()).await?;
        let store = store.open("default").await?;
        let ids = fill::retain(&store, tasks).await?;
        Ok(Self {
            tools,
            store,
            ids: ids.iter().map(TaskId::to_string).collect(),
        })
    }
}

pub(crate) async fn run() -> Result<(), BoxError> {
    let one = Retained::in_memory(1).await?;
    let many = Retained::in_memory(MANY).await?;
    compare(&many, &one, AT_THE_STORE, "memory").await?;
    process::part(PART)
}

pub(crate) async fn run_sqlite() -> Result<(), BoxError> {
    let directory = disk::directory()?;
    let one = disk::new_store(&directory, "one.db").await?;
    let many = disk::new_store(&directory, "many.db").await?;
    let one = Retained::on(one, 1).await?;
    let many = Retained::on(many, MANY).await?;
    compare(&many, &one, AT_SQLITE, "SQLite").await
}

async fn compare(
    many: &Retained,
    one: &Retained,
    at_the_store: Rounds,
    store: &str,
) -> Result<(), BoxError> {
    let read = async |client: &Client, ids: &mut Walk<'_, String>| {
        client.status("echo_status", ids.next()).await.map(drop)
    };
    let servers = (
        HttpServer::of(many.tools.clone()).await?,
        HttpServer::of(one.tools.clone()).await?,
    );
    for (transport, among_many, alone) in [
        (
            "HTTP on loopback",
            Client::http(&servers.0.uri).await?,
            Client::http(&servers.1.uri).await?,
        ),
        (
            "pipe in memory",
            Client::duplex(many.tools.clone()).await?,
            Client::duplex(one.tools.clone()).await?,
        ),
    ] {
        let (mut walk, mut stay) = (Walk::over(&many.ids), Walk::over(&one.ids));
        let ratio = OVER_TRANSPORT
            .compare(
                async || read(&among_many, &mut walk).await,
                async || read(&alone, &mut stay).await,
            )
            .await?;
        let what = format!("status among 100 000 / 1, {store}, {transport}, p50");
        row(&what, &ratio.to_string(), "<= 1.1 x");
    }

    let ids: Vec<TaskId> = parsed(&many.ids)?;
    let only: Vec<TaskId> = parsed(&one.ids)?;
    for (which, ids) in [
        ("the same task", &ids[..1]),
        ("another task each time", &ids[..]),
    ] {
        let (mut walk, mut stay) = (Walk::over(ids), Walk::over(&only));
        let ratio = at_the_store
            .compare(
                async || get(&*many.store, *walk.next()).await,
                async || get(&*one.store, *stay.next()).await,
            )
            .await?;
        let what = format!("Store::get among 100 000 / 1, {store}, {which}");
        row(&what, &ratio.to_string(), "<= 3 x");
    }
    Ok(())
}

fn parsed(ids: &[String]) -> Result<Vec<TaskId>, BoxError> {
    Ok(ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?)
}

async fn get(store: &dyn Store, id: TaskId) -> Result<(), BoxError> {
    let record = store.get(id).await?.ok_or("a task is gone")?;
    std::hint::black_box(record);
    Ok(())
}

/// Goes through all values for ever, in strides that no cache foresees.
struct Walk<'a, T> {
    values: &'a [T],
    at: usize,
}

impl<'a, T> Walk<'a, T> {
    fn over(values: &'a [T]) -> Self {
        Self { values, at: 0 }
    }

    fn next(&mut self) -> &'a T {
        // A prime: every value has its turn.
        const STRIDE: usize = 61_843;
        self.at = (self.at + STRIDE) % self.values.len();
        &self.values[self.at]
    }
}
