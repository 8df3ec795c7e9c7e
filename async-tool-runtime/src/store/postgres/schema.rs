//! The schema and its versions.

use tokio_postgres::{Client, Error};

use super::connection::Connector;
use super::error::{Done, fault, other};
use crate::store::StoreError;

/// What brings the schema from each version to the next one. Append only:
/// processes of the version before go on working while it is applied, so the
/// functions that they call must stay.
pub(super) const MIGRATIONS: &[&[&str]] = &[
    &[
        include_str!("migrations/0001/tables.sql"),
        include_str!("migrations/0001/common.sql"),
        include_str!("migrations/0001/create.sql"),
        include_str!("migrations/0001/claim.sql"),
        include_str!("migrations/0001/beat.sql"),
        include_str!("migrations/0001/end.sql"),
        include_str!("migrations/0001/reap.sql"),
    ],
    &[
        include_str!("migrations/0002/questions.sql"),
        include_str!("migrations/0002/create.sql"),
    ],
    &[
        include_str!("migrations/0003/tables.sql"),
        include_str!("migrations/0003/create.sql"),
        include_str!("migrations/0003/work.sql"),
        include_str!("migrations/0003/beat.sql"),
        include_str!("migrations/0003/notices.sql"),
    ],
];

/// For whoever migrates, so that it is one process at a time.
const LOCK: i64 = 0x6173_796e_6374_6f6f;

/// Makes sure that the schema is there, in the version of this program.
pub(super) async fn prepare(connector: &Connector, schema: &str) -> Done<()> {
    let (client, _driven) = connector.connect(None).await?;
    check_encoding(&client).await?;
    let known = version(&client, schema).await;
    match known.map_err(|error| fault(&error))? {
        Some(version) if version == latest() => Ok(()),
        Some(version) if version > latest() => Err(newer(version)),
        _ => migrate(&client, schema).await,
    }
}

async fn check_encoding(client: &Client) -> Done<()> {
    let encoding = setting(client, "server_encoding").await;
    let encoding = encoding.map_err(|error| fault(&error))?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(other(&format!(
        "the encoding of the database is {encoding}; it must be UTF8"
    )))
}

/// What takes effect on this connection.
pub(super) async fn setting(client: &Client, name: &str) -> Result<String, Error> {
    let sql = "SELECT current_setting($1)";
    client.query_one(sql, &[&name]).await?.try_get(0)
}

/// All of it in one transaction. If it fails, the connection is closed, and
/// with it the transaction.
async fn migrate(client: &Client, schema: &str) -> Done<()> {
    let migrated = async {
        client.batch_execute("BEGIN").await?;
        client
            .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
            .await?;
        if !exists(client, schema).await? {
            client
                .batch_execute(&format!("CREATE SCHEMA {schema}"))
                .await?;
        }
        client
            .batch_execute(&format!(
                "SET LOCAL search_path TO {schema}, pg_temp; \
                 SET LOCAL client_min_messages TO warning; \
                 CREATE TABLE IF NOT EXISTS {schema}.migrations \
                   (version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
            ))
            .await?;
        let applied = version(client, schema).await?.unwrap_or(0);
        let done = usize::try_from(applied).unwrap_or(usize::MAX);
        for (number, files) in (1_i32..).zip(MIGRATIONS).skip(done) {
            for sql in *files {
                client.batch_execute(sql).await?;
            }
            let sql = format!("INSERT INTO {schema}.migrations (version) VALUES ($1)");
            client.execute(&sql, &[&number]).await?;
        }
        client.batch_execute("COMMIT").await?;
        Ok(applied)
    };
    match migrated.await {
        Ok(applied) if applied > latest() => Err(newer(applied)),
        Ok(_) => Ok(()),
        Err(error) => Err(refused(&error)),
    }
}

/// The version of this program.
pub(super) fn latest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

async fn exists(client: &Client, schema: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
    let name = schema.trim_matches('"');
    Ok(client.query_opt(sql, &[&name]).await?.is_some())
}

/// None if there is no such schema, or nothing of this crate in it.
pub(super) async fn version(client: &Client, schema: &str) -> Result<Option<i32>, Error> {
    let table = format!("{schema}.migrations");
    let row = client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])
        .await?;
    if !row.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let sql = format!("SELECT max(version) FROM {table}");
    client.query_one(&sql, &[]).await?.try_get(0)
}

fn newer(version: i32) -> StoreError {
    other(&format!(
        "a newer version of async-tool has made this schema (version {version}; this one knows \
         up to {})",
        latest()
    ))
}

fn refused(error: &Error) -> StoreError {
    let taken = error.as_db_error().is_some_and(|db| {
        // Something of that name is there already.
        matches!(db.code().code(), "42P07" | "42710" | "42723" | "42703")
    });
    let fault = fault(error);
    if taken {
        return other("the schema has tables that are not of this crate").with_source(fault);
    }
    fault
}
