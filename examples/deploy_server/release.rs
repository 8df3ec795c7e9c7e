//! A release, and what is written down about it.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::disk::sync;
use crate::error::{At, DeployError};

/// The file of a release that says where it comes from.
pub(crate) const MANIFEST: &str = ".release.json";

/// A release of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Release {
    /// Its number; later releases have higher ones.
    pub(crate) number: u64,
    /// Whether it is the one that `current` leads to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) live: bool,
    /// What was deployed.
    pub(crate) artifact: String,
    /// SHA-256 of the archive that was deployed, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// How many files, directories and links it was deployed with.
    pub(crate) entries: usize,
    /// How many bytes its files held.
    pub(crate) bytes: u64,
    /// When it was made.
    pub(crate) deployed_at: String,
    /// What was live before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaced: Option<u64>,
}

/// What `.release.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    #[serde(flatten)]
    pub(crate) release: Release,
    /// Id of the task that made the release.
    pub(crate) task: String,
    /// Which start of that task made it.
    pub(crate) epoch: u64,
    /// Whether it has been live at some time. That is written, and on the disk,
    /// before anything else becomes live instead, so that a release of which it
    /// is not true and which is not live never was.
    #[serde(default = "yes")]
    pub(crate) was_live: bool,
}

/// Whoever wrote no such thing may have been live.
fn yes() -> bool {
    true
}

impl Manifest {
    /// That of a release; `None` if it does not exist, or was not made here.
    pub(crate) fn read(release: &Path) -> Result<Option<Self>, DeployError> {
        let path = release.join(MANIFEST);
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            content => serde_json::from_slice(&content.at(&path)?).map_err(|error| {
                let path = path.display().to_string();
                DeployError::BadManifest { path, error }
            }),
        }
    }

    /// Records that a release has been live, by way of an empty file on the same
    /// disk.
    pub(crate) fn record_live(
        release: &Path,
        mut temporary: NamedTempFile,
    ) -> Result<(), DeployError> {
        let manifest = match Self::read(release) {
            Ok(Some(manifest)) if !manifest.was_live => manifest,
            // One that cannot be read is never taken for one that says no.
            Ok(_) | Err(DeployError::BadManifest { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let path = release.join(MANIFEST);
        let manifest = Self {
            was_live: true,
            ..manifest
        };
        let content = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from);
        temporary.write_all(&content.at(&path)?).at(&path)?;
        let write = || {
            let file = temporary.as_file();
            file.set_permissions(path.metadata()?.permissions())?;
            file.sync_all()?;
            temporary.persist(&path).map_err(|error| error.error)
        };
        write().at(&path)?;
        sync(release)
    }
}
