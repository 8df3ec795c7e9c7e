//! What can go wrong, and what is said about it.
//!
//! No message has anything of the URL in it, and of what the server says only
//! its message and code: its details may quote arguments.

use std::fmt;

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

use crate::store::{StoreError, encoding};

/// A record that a later version of this crate wrote; its format is the message.
const NEWER_RECORD: &str = "AT001";
/// A `finish` relied on a result that is not there.
const NOT_PUT_AHEAD: &str = "AT002";

/// The kinds of the engine's errors are not public; this one's text is.
pub(super) const TLS: &str = "error performing TLS handshake";

pub(super) type Done<T> = Result<T, StoreError>;

/// The error of a connection or a statement.
pub(super) fn fault(error: &tokio_postgres::Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        let what = if error.is_closed() {
            "the connection was lost"
        } else if error.to_string().starts_with(TLS) {
            "TLS with the server does not work; is its certificate of a known authority?"
        } else {
            "the server cannot be reached, or the connection was lost"
        };
        return other(what).with_source(Cause::of(error));
    };
    let what = match db.code().code() {
        NEWER_RECORD => {
            let format = db.message().parse().unwrap_or(i64::MAX);
            return StoreError::new(encoding::newer_record(format));
        }
        NOT_PUT_AHEAD => return StoreError::new("the result was not put ahead"),
        "28P01" | "28000" => "the server refused this user or password",
        "3D000" => "there is no such database",
        "42501" => "this user may not do that",
        "53100" => "the server's disk is full",
        "53300" => "the server has no connection left",
        "57P01" | "57P02" | "57P03" => "the server is starting or stopping",
        "57014" | "55P03" => "the server took too long",
        "25006" => "the server only reads; is it a standby?",
        "3F000" | "42P01" | "42883" => "the schema is not there, or not one of this crate",
        "40001" | "40P01" => "calls got into each other's way again and again",
        _ => "the server failed",
    };
    other(what).with_source(Cause::of(error))
}

pub(super) fn pool_fault(error: &PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => fault(error),
        PoolError::Timeout(TimeoutType::Wait) => other("all connections are busy"),
        PoolError::Timeout(_) => other("the server cannot be reached: it does not answer"),
        _ => other("there is no connection"),
    }
}

pub(super) fn too_long() -> StoreError {
    other("the server does not answer")
}

pub(super) fn damaged(what: &str) -> StoreError {
    other(&format!("the {what} of a task is damaged"))
}

pub(super) fn other(what: &str) -> StoreError {
    StoreError::new(format!("PostgreSQL store: {what}"))
}

/// Whether doing it again may help: nothing was done.
pub(super) fn is_transient(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED)
    )
}

/// Whether the server at the end of a connection is of no use any more.
pub(super) fn is_demoted(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code().map(SqlState::code),
        Some("25006" | "57P01" | "57P02" | "57P03")
    )
}

/// Whether the server has forgotten a prepared statement, or it does not fit
/// any more.
pub(super) fn is_stale(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::INVALID_SQL_STATEMENT_NAME | &SqlState::FEATURE_NOT_SUPPORTED)
    )
}

/// What the engine said, without what it quotes.
#[derive(Debug)]
struct Cause(String);

impl Cause {
    fn of(error: &tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self(format!("{} ({})", db.message(), db.code().code()));
        }
        let source = std::error::Error::source(error);
        Self(source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}")))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}
