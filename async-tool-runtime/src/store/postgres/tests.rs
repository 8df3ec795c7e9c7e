//! What the PostgreSQL store has beyond the contract, on real servers and in
//! real time.

mod admin;
mod contract;
#[cfg(feature = "postgres-tls")]
mod encryption;
mod faults;
mod inspect;
mod model;
mod notices;
mod plans;
mod races;
mod schemas;
mod versions;

use super::*;
use admin::Admin;
use servers::Postgres;

/// A schema of its own on the server that the tests of this process share.
fn scratch() -> String {
    format!("t{:016x}", fastrand::u64(..))
}

async fn connect(server: &Postgres, schema: &str) -> PostgresStore {
    PostgresStore::builder(server.url())
        .schema(schema)
        .connect()
        .await
        .expect("it connects")
}
