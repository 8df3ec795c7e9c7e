//! What can go wrong, and what is said about it.

use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::store::{StoreError, encoding};

/// Why an operation was not done.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    /// Anything else, in words.
    Other(String),
}

pub(super) type Done<T> = Result<T, Fault>;

impl Fault {
    pub(super) fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }

    /// A record that a later version of this crate wrote.
    pub(super) fn newer_record(format: i64) -> Self {
        Self::Other(encoding::newer_record(format))
    }

    pub(super) fn is_locked(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Other(_) => None,
        }
    }

    fn message(&self) -> String {
        if let Self::Other(message) = self {
            return message.clone();
        }
        let what = match self.code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "the database is locked by another process"
            }
            Some(ErrorCode::DiskFull) => "the disk is full",
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                "the file or its directory cannot be written"
            }
            Some(ErrorCode::CannotOpen) => {
                "the file cannot be opened, or its directory cannot be written"
            }
            Some(ErrorCode::DatabaseCorrupt) => "the file is damaged",
            Some(ErrorCode::NotADatabase) => "the file is no SQLite database",
            Some(ErrorCode::SystemIoFailure) => "the file cannot be read or written",
            Some(ErrorCode::TooBig) => "the value is larger than SQLite can keep",
            _ => "SQLite failed",
        };
        format!("SQLite store: {what}")
    }

    /// The same error, as often as callers wait for it.
    pub(super) fn shared(self) -> impl Fn() -> StoreError {
        let message = self.message();
        let source = match self {
            Self::Sqlite(error) => Some(Arc::new(error)),
            Self::Other(_) => None,
        };
        move || {
            let error = StoreError::new(message.clone());
            match &source {
                Some(source) => error.with_source(Arc::clone(source)),
                None => error,
            }
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        fault.shared()()
    }
}
