//! Random operations, on this store and on the memory store.
//!
//! Time is tokio's paused clock, and the server's clock is set to it: here the
//! schema's function that tells the time reads a table.

use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::engine::Clock;
use crate::store::{MemoryStore, model};

#[tokio::test(start_paused = true)]
async fn random_operations_have_the_answers_of_the_memory_store() {
    let Some(server) = servers::postgres() else {
        return;
    };
    for seed in 1..=3 {
        run(server, seed, 600).await;
    }
}

async fn run(server: &Postgres, seed: u64, operations: usize) {
    let schema = scratch();
    let store = connect(server, &schema).await;
    let admin = Admin::connect(server).await;
    admin
        .run(&format!(
            "CREATE TABLE {schema}.clock (now BIGINT); INSERT INTO {schema}.clock VALUES (0); \
             CREATE OR REPLACE FUNCTION {schema}.now_ms() RETURNS BIGINT LANGUAGE plpgsql AS \
             $$ BEGIN RETURN (SELECT now FROM {schema}.clock); END $$"
        ))
        .await;
    let clock = Clock::tokio();
    let set = async || {
        let now = clock.now().0;
        let sql = format!("UPDATE {schema}.clock SET now = {now}");
        admin.run(&sql).await;
    };
    set().await;
    let memory = MemoryStore::with_clock(clock.clone());
    let (model, store) = (
        memory.open("test").await.expect("memory opens"),
        store.open("test").await.expect("it opens"),
    );
    model::compare(
        model,
        store,
        seed,
        operations,
        async |duration: Duration| {
            advance(duration).await;
            set().await;
        },
    )
    .await;
    admin.check_integrity(&schema).await;
    admin.check_sessions(&schema).await;
}
