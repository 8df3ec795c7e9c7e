//! A look at a server that changes nothing.

use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Error};

use super::PostgresStore;
use super::config::{self, quoted};
use super::connection::Connector;
use super::error::{self, Done, fault};
use super::handle::CALL;
use super::schema::{self, setting};
use crate::store::Inspection;
use crate::store::driver::Driver;

/// Settings that do not last a crash of the server, and why.
const WEAK: [(&str, &str); 3] = [
    (
        "fsync",
        "a crash of the server's machine may lose or damage everything",
    ),
    (
        "full_page_writes",
        "a crash of the server's machine may damage tables",
    ),
    // As it is for the store, which switches it on for its own connections.
    (
        "synchronous_commit",
        "a crash of the server may lose what had been answered",
    ),
];

pub(super) async fn inspect(url: &str) -> Done<Inspection> {
    let mut target = config::parse(url)?;
    if target.config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
        // A standby is there to be looked at as well.
        target.config.target_session_attrs(TargetSessionAttrs::Any);
    }
    let schema = target.schema.as_deref();
    let schema = quoted(schema.unwrap_or(PostgresStore::DEFAULT_SCHEMA))?;
    let connector = Connector::new(&target)?;
    let driver = Driver::start("async-tool-inspect")?;
    driver
        .call(async move {
            let deadline = Instant::now() + CALL;
            let looking = timeout_at(deadline, async {
                let (client, _driven) = connector.connect(None).await?;
                let found = look(&client, &schema).await;
                found.map_err(|error| fault(&error))
            });
            looking.await.unwrap_or_else(|_| Err(error::too_long()))
        })
        .await
}

async fn look(client: &Client, schema: &str) -> Result<Inspection, Error> {
    let version = setting(client, "server_version").await?;
    // What follows is the packager's.
    let version = version.split(' ').next().unwrap_or_default();
    let mut found = Inspection::new(format!("PostgreSQL {version}"));
    found.known_schema = u32::try_from(schema::latest()).ok();
    found.schema = schema::version(client, schema)
        .await?
        .and_then(|version| u32::try_from(version).ok());

    let number = setting(client, "server_version_num").await?;
    if number.parse().is_ok_and(|number: u32| number < 130_000) {
        found.warnings.push(format!(
            "PostgreSQL {version} is too old: the store needs 13 or newer."
        ));
    }
    let encoding = setting(client, "server_encoding").await?;
    if encoding != "UTF8" {
        found.warnings.push(format!(
            "The encoding of the database is {encoding}, and the store refuses it: create one with UTF8."
        ));
    }
    for (name, loss) in WEAK {
        if setting(client, name).await? == "off" {
            found
                .warnings
                .push(format!("`{name}` is off, so {loss}: switch it on."));
        }
    }
    let standby: bool = client
        .query_one("SELECT pg_is_in_recovery()", &[])
        .await?
        .try_get(0)?;
    if standby {
        found.warnings.push(
            "The server is a standby, which only reads: the store needs the primary.".to_owned(),
        );
    } else if setting(client, "transaction_read_only").await? == "on" {
        found.warnings.push(
            "Transactions only read (`default_transaction_read_only`): switch it off for this user or database."
                .to_owned(),
        );
    }
    Ok(found)
}
