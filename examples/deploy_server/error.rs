//! Why something was not deployed.

use std::io;
use std::path::{Path, PathBuf};

use async_tool::{Cancelled, ToolError};
use serde_json::json;

/// Why something was not deployed or rolled back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeployError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("`{path}`: {error}")]
    Io { path: String, error: io::Error },

    #[error("the artifact `{0}` is outside the server's directory of artifacts")]
    OutsideArtifacts(String),
    #[error("there is no artifact `{0}` in the server's directory of artifacts")]
    NoArtifact(String),
    #[error("the artifact `{0}` is neither a directory nor a file whose name ends with .tar.gz")]
    NoKind(String),
    #[error("the artifact `{0}` holds the deployments themselves; choose a directory in it")]
    HoldsRoot(String),
    #[error(
        "`{0}` belongs to the deployments themselves; nothing in the server's root is an artifact"
    )]
    BelowRoot(String),
    #[error("a directory has no SHA-256; leave `sha256` out, or pack it as a .tar.gz")]
    NotHashable,
    #[error("the artifact has the SHA-256 {found}, not {expected}; was it built anew?")]
    Mismatch { expected: String, found: String },
    #[error("the artifact was changed while it was being deployed; deploy it again")]
    Changed,
    #[error("the artifact cannot be read: {0}")]
    Unreadable(io::Error),

    #[error("`{path}` in the artifact {why}")]
    Refused { path: String, why: &'static str },
    #[error("the artifact holds more than {0} bytes, which is this server's limit")]
    TooManyBytes(u64),
    #[error("the artifact holds more than {0} files and directories, which is this server's limit")]
    TooManyEntries(usize),

    #[error("the health check cannot be started: {0}")]
    CheckNotStarted(io::Error),
    #[error("the health check failed ({status}); what was live before still is")]
    Unhealthy { status: String, output: String },
    #[error(
        "the health check did not end within {seconds} s; what was live before still is. \
         A check has to end by itself, with 0 if all is well"
    )]
    CheckTimeout { seconds: f64, output: String },

    #[error("release {release} was not approved ({why}); what was live before still is")]
    NotApproved { release: u64, why: String },

    #[error("{service} has no release {number}; it has {}", listed(.existing))]
    NoRelease {
        service: String,
        number: u64,
        existing: Vec<u64>,
    },
    #[error("release {number} of {service} is live already")]
    AlreadyLive { service: String, number: u64 },
    #[error(
        "there is no release of {service} before the live one; name one of {}",
        listed(.existing)
    )]
    NoPrevious { service: String, existing: Vec<u64> },
    #[error(
        "{service} was deployed or rolled back by somebody else meanwhile, and nothing was \
         changed; look at what is live, and start again if that is still wanted"
    )]
    Superseded { service: String },
    #[error(
        "`{0}` is no link to a release; somebody has changed it by hand and has to put it right"
    )]
    Strange(String),

    #[error("`{path}` does not say what this release is: {error}")]
    BadManifest {
        path: String,
        error: serde_json::Error,
    },

    #[error("the work did not end: {0}")]
    Join(#[from] tokio::task::JoinError),
}

impl DeployError {
    /// A refusal of the entry at `path`.
    pub(crate) fn refused(path: &Path, why: &'static str) -> Self {
        let path = path.display().to_string();
        Self::Refused { path, why }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Cancelled(_) => "cancelled",
            Self::Io { .. } | Self::BadManifest { .. } => "io",
            Self::OutsideArtifacts(_) => "outside_artifacts",
            Self::NoArtifact(_) => "artifact_not_found",
            Self::NoKind(_) | Self::HoldsRoot(_) | Self::BelowRoot(_) => "not_an_artifact",
            Self::NotHashable => "not_hashable",
            Self::Mismatch { .. } => "checksum_mismatch",
            Self::Changed => "artifact_changed",
            Self::Unreadable(_) => "artifact_unreadable",
            Self::Refused { .. } => "unsafe_artifact",
            Self::TooManyBytes(_) | Self::TooManyEntries(_) => "artifact_too_large",
            Self::CheckNotStarted(_) | Self::Unhealthy { .. } => "health_check_failed",
            Self::CheckTimeout { .. } => "health_check_timeout",
            Self::NotApproved { .. } => "not_approved",
            Self::NoRelease { .. } => "release_not_found",
            Self::AlreadyLive { .. } => "already_live",
            Self::NoPrevious { .. } => "no_previous_release",
            Self::Superseded { .. } => "superseded",
            Self::Strange(_) => "strange_current",
            Self::Join(_) => "internal",
        }
    }
}

impl From<DeployError> for ToolError {
    fn from(error: DeployError) -> Self {
        let told = Self::new(error.to_string()).with_code(error.code());
        match error {
            DeployError::Unhealthy { output, .. } | DeployError::CheckTimeout { output, .. } => {
                told.with_details(json!({ "output": output }))
            }
            DeployError::NoRelease { existing, .. } | DeployError::NoPrevious { existing, .. } => {
                told.with_details(json!({ "releases": existing }))
            }
            DeployError::Changed => told.with_retryable(true),
            _ => told,
        }
    }
}

/// Says which path an operation of the file system failed for.
pub(crate) trait At<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T, DeployError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T, DeployError> {
        self.map_err(|error| DeployError::Io {
            path: path.into().display().to_string(),
            error,
        })
    }
}

fn listed(numbers: &[u64]) -> String {
    if numbers.is_empty() {
        return "none".to_owned();
    }
    let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}
