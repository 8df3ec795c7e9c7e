//! What can go wrong, and what is said about it.

use ::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

pub(super) fn say(message: &str) -> StoreError {
    StoreError::new(format!("Redis store: {message}"))
}

/// What the server sent is not what a script of this crate answers.
pub(super) fn damaged(what: &str) -> StoreError {
    say(&format!("{what} is damaged, or no answer of ours"))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn not_json(error: serde_json::Error) -> StoreError {
    say(&format!("not to be written as JSON: {error}"))
}

/// Errors of the driver name neither user nor password.
pub(super) fn failed(error: RedisError) -> StoreError {
    say(message(&error)).with_source(error)
}

fn message(error: &RedisError) -> &'static str {
    if let Some(message) = refused(error) {
        return message;
    }
    if error.is_connection_refusal() {
        "the server cannot be reached"
    } else if error.is_timeout() {
        "the server did not answer in time; whether it carries the call out is not known"
    } else if error.is_connection_dropped() {
        "the connection was lost; whether the call was carried out is not known"
    } else if error.is_io_error() {
        "the server cannot be reached"
    } else {
        "the server refused the call"
    }
}

/// What a server says itself.
fn refused(error: &RedisError) -> Option<&'static str> {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return Some(CREDENTIALS);
    }
    let kind = match error.kind() {
        ErrorKind::Server(kind) => Some(kind),
        _ => None,
    };
    Some(match (kind, error.code()?) {
        (Some(ServerErrorKind::BusyLoading), _) => "the server is loading its data; try again",
        (Some(ServerErrorKind::ReadOnly), _) => {
            "the server is a replica that cannot be written to; try again when a failover is over"
        }
        (Some(ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown), _) => {
            "the server has no master at the moment; try again"
        }
        (_, "OOM") => "the server's memory is full (`maxmemory`)",
        (_, "MISCONF") => "the server cannot write its data to the disk, and refuses writes",
        (_, "BUSY") => "the server is busy with a script of somebody",
        (_, "NOAUTH" | "WRONGPASS") => CREDENTIALS,
        (_, "NOPERM") => "the user may not run scripts, or not on these keys and channels",
        // Before 7.0, what a script met was in the text alone.
        _ if error
            .detail()
            .is_some_and(|text| text.contains("OOM command")) =>
        {
            "the server's memory is full (`maxmemory`)"
        }
        _ => return None,
    })
}

const CREDENTIALS: &str = "the server refused the user name or the password";
