//! A service on disk, and why it is whole at every moment.
//!
//! ```text
//! ROOT/ENVIRONMENT/SERVICE/
//!   current -> releases/7   what is live
//!   releases/6, releases/7  whole releases, each with a `.release.json`
//!   .tmp-…                  what is being made or removed
//! ```
//!
//! Everything that others may look at changes by one `rename`: a release is
//! made in a temporary directory and renamed into `releases` when it is whole,
//! `current` is replaced by a link that was made beside it, and what is removed
//! is renamed out of `releases` first. So a process may be killed between any
//! two system calls; it leaves nothing but temporary files, which the next
//! deployment removes.

use std::cmp::Reverse;
use std::fs::{self, File, Permissions, set_permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use async_tool::TaskContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::error::{At, DeployError};
use crate::name::Name;
use crate::stage::{Limits, Stage};

/// The file of a release that says where it comes from.
pub(crate) const MANIFEST: &str = ".release.json";
/// What the names of temporary files and directories begin with.
const TEMPORARY: &str = ".tmp-";

/// The directory of one service in one environment.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    directory: PathBuf,
    /// For people to read.
    title: String,
}

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
}

impl Service {
    /// The service of this name.
    pub(crate) fn new(root: &Path, environment: &Name, service: &Name) -> Self {
        Self {
            directory: root.join(environment.as_str()).join(service.as_str()),
            title: format!("`{service}` in `{environment}`"),
        }
    }

    /// The number of the release that is live.
    pub(crate) fn live(&self) -> Result<Option<u64>, DeployError> {
        let current = self.current();
        let strange = || DeployError::Strange(current.display().to_string());
        match fs::read_link(&current) {
            Ok(target) => {
                let number = target.strip_prefix("releases").ok().and_then(number);
                number.map(Some).ok_or_else(strange)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidInput => Err(strange()),
            Err(error) => Err(error).at(current),
        }
    }

    /// The numbers of all releases, latest first.
    pub(crate) fn numbers(&self) -> Result<Vec<u64>, DeployError> {
        let releases = self.releases_directory();
        let entries = match fs::read_dir(&releases) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.at(&releases)?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.at(&releases)?.file_name();
            numbers.extend(number(Path::new(&name)));
        }
        numbers.sort_unstable_by_key(|number| Reverse(*number));
        Ok(numbers)
    }

    /// All releases, latest first.
    pub(crate) fn releases(&self) -> Result<Vec<Release>, DeployError> {
        let live = self.live()?;
        let mut releases = Vec::new();
        for number in self.numbers()? {
            if let Some(manifest) = self.manifest(number)? {
                releases.push(Release {
                    live: live == Some(number),
                    ..manifest.release
                });
            }
        }
        Ok(releases)
    }

    /// Where a release comes from; `None` if it does not exist, or was not made
    /// here.
    pub(crate) fn manifest(&self, number: u64) -> Result<Option<Manifest>, DeployError> {
        let path = self.release(number).join(MANIFEST);
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            content => serde_json::from_slice(&content.at(&path)?)
                .map_err(io::Error::from)
                .at(path),
        }
    }

    /// The number of the next release.
    pub(crate) fn next_number(&self) -> Result<u64, DeployError> {
        let last = self.numbers()?.first().copied();
        Ok(last.max(self.live()?).unwrap_or_default() + 1)
    }

    /// The release to roll back to: that of this number, or else the one that
    /// was live before the present one came.
    pub(crate) fn rollback_target(&self, number: Option<u64>) -> Result<u64, DeployError> {
        let service = || self.title.clone();
        let live = self.live()?;
        let Some(target) = number else {
            let manifest = live.map(|live| self.manifest(live)).transpose()?.flatten();
            let replaced = manifest.and_then(|manifest| manifest.release.replaced);
            return match replaced {
                Some(target) if self.manifest(target)?.is_some() => Ok(target),
                _ => Err(DeployError::NoPrevious {
                    service: service(),
                    existing: self.numbers()?,
                }),
            };
        };
        if live == Some(target) {
            return Err(DeployError::AlreadyLive {
                service: service(),
                number: target,
            });
        }
        if self.manifest(target)?.is_none() {
            return Err(DeployError::NoRelease {
                service: service(),
                number: target,
                existing: self.numbers()?,
            });
        }
        Ok(target)
    }

    /// Makes an empty place for a release. No two attempts have the same: the
    /// id is the task's and the epoch grows with each of its attempts, so that
    /// one which is thought dead and is not cannot write into its successor's.
    pub(crate) fn stage(&self, limits: Limits, task: &TaskContext) -> Result<Stage, DeployError> {
        let releases = self.releases_directory();
        fs::create_dir_all(&releases).at(&releases)?;
        self.clear_up()?;
        let prefix = format!("{TEMPORARY}{}-{}", task.id(), task.epoch());
        let directory = tempfile::Builder::new()
            .prefix(&prefix)
            .rand_bytes(0)
            .tempdir_in(&self.directory)
            .at(self.directory.join(prefix))?;
        Ok(Stage::new(directory, limits, task.clone()))
    }

    /// Removes what attempts that were killed have left.
    fn clear_up(&self) -> Result<(), DeployError> {
        for entry in fs::read_dir(&self.directory).at(&self.directory)? {
            let entry = entry.at(&self.directory)?;
            let (name, path) = (entry.file_name(), entry.path());
            if !name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
                continue;
            }
            if entry.file_type().at(&path)?.is_dir() {
                self.discard(&path)?;
            } else {
                fs::remove_file(&path).at(path)?;
            }
        }
        Ok(())
    }

    /// Whether this task has published the release of this number already.
    pub(crate) fn has_published(
        &self,
        number: u64,
        task: &TaskContext,
    ) -> Result<bool, DeployError> {
        match self.manifest(number)? {
            None => Ok(false),
            Some(manifest) if manifest.task == task.id().to_string() => Ok(true),
            Some(_) => Err(self.superseded()),
        }
    }

    /// Makes what is on the stage a release, which then is on the disk and
    /// whole, or is not there at all.
    pub(crate) fn publish(
        &self,
        stage: Stage,
        release: Release,
        task: &TaskContext,
    ) -> Result<(), DeployError> {
        let replaced = release.replaced;
        let place = self.release(release.number);
        let manifest = Manifest {
            release,
            task: task.id().to_string(),
            epoch: task.epoch(),
        };
        let path = stage.path().join(MANIFEST);
        let content = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from);
        fs::write(&path, content.at(&path)?).at(&path)?;
        // Until now it was nobody else's business.
        set_permissions(stage.path(), Permissions::from_mode(0o755)).at(stage.path())?;
        sync_all(stage.path(), task)?;

        let _lock = self.lock()?;
        task.check_cancelled()?;
        self.ensure_live(&[replaced])?;
        let directory: TempDir = stage.into_directory();
        fs::rename(directory.path(), &place).at(place)?;
        // It has another name now, under which nothing shall remove it.
        let _ = directory.keep();
        sync(&self.releases_directory())
    }

    /// Makes a release live, if `from` is live, or it is already.
    pub(crate) fn switch(
        &self,
        from: Option<u64>,
        to: u64,
        task: &TaskContext,
    ) -> Result<(), DeployError> {
        let _lock = self.lock()?;
        task.check_cancelled()?;
        self.ensure_live(&[from, Some(to)])?;
        let target = Path::new("releases").join(to.to_string());
        if !self.directory.join(&target).is_dir() {
            return Err(self.superseded());
        }
        let current = self.current();
        tempfile::Builder::new()
            .prefix(TEMPORARY)
            .make_in(&self.directory, |path| symlink(&target, path))
            .at(&self.directory)?
            .into_temp_path()
            .persist(&current)
            .map_err(|error| error.error)
            .at(current)?;
        sync(&self.directory)
    }

    /// Refuses to go on where something else has become live than this.
    fn ensure_live(&self, expected: &[Option<u64>]) -> Result<(), DeployError> {
        if expected.contains(&self.live()?) {
            Ok(())
        } else {
            Err(self.superseded())
        }
    }

    fn superseded(&self) -> DeployError {
        DeployError::Superseded {
            service: self.title.clone(),
        }
    }

    /// Removes a release that this attempt of a task, or one before it, has
    /// published and that did not become live.
    pub(crate) fn abandon(&self, number: u64, task: &TaskContext) -> Result<(), DeployError> {
        let ours = self.manifest(number)?.is_some_and(|manifest| {
            manifest.task == task.id().to_string() && manifest.epoch <= task.epoch()
        });
        if !ours {
            return Ok(());
        }
        let _lock = self.lock()?;
        if self.live()? != Some(number) {
            self.discard(&self.release(number))?;
        }
        Ok(())
    }

    /// Removes old releases, and answers with their numbers. The latest `keep`
    /// stay, and so do the live one and the one before it.
    pub(crate) fn prune(&self, keep: usize) -> Result<Vec<u64>, DeployError> {
        let _lock = self.lock()?;
        let Some(live) = self.live()? else {
            return Ok(Vec::new());
        };
        let manifest = self.manifest(live)?;
        let before = manifest.and_then(|manifest| manifest.release.replaced);
        let mut numbers = self.numbers()?;
        let mut pruned = numbers.split_off(keep.min(numbers.len()));
        pruned.retain(|number| *number != live && Some(*number) != before);
        for number in &pruned {
            self.discard(&self.release(*number))?;
        }
        Ok(pruned)
    }

    /// Removes a directory. It leaves its place as a whole, before anything in
    /// it is removed, so that nobody can find half of it there.
    fn discard(&self, path: &Path) -> Result<(), DeployError> {
        let grave = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempdir_in(&self.directory)
            .at(&self.directory)?;
        match fs::rename(path, grave.path().join("discarded")) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            renamed => renamed.at(path)?,
        }
        grave.close().at(path)
    }

    /// Held while something is looked at and then changed, so that a process
    /// which was stopped between the two, and whose task others have taken over,
    /// does not go on with what it saw then. It is free again when the file is
    /// dropped, or the process dies.
    fn lock(&self) -> Result<File, DeployError> {
        let lock = || {
            let directory = File::open(&self.directory)?;
            directory.lock()?;
            Ok(directory)
        };
        lock().at(&self.directory)
    }

    fn current(&self) -> PathBuf {
        self.directory.join("current")
    }

    fn releases_directory(&self) -> PathBuf {
        self.directory.join("releases")
    }

    fn release(&self, number: u64) -> PathBuf {
        self.releases_directory().join(number.to_string())
    }
}

/// The number that is all of a name, in the only way to write it.
fn number(name: &Path) -> Option<u64> {
    let name = name.to_str()?;
    let number: u64 = name.parse().ok()?;
    (number.to_string() == name).then_some(number)
}

/// Has all of a directory on the disk.
fn sync_all(directory: &Path, task: &TaskContext) -> Result<(), DeployError> {
    for entry in fs::read_dir(directory).at(directory)? {
        task.check_cancelled()?;
        let entry = entry.at(directory)?;
        let (path, kind) = (entry.path(), entry.file_type().at(entry.path())?);
        if kind.is_dir() {
            sync_all(&path, task)?;
        } else if kind.is_file() {
            sync(&path)?;
        }
    }
    sync(directory)
}

fn sync(path: &Path) -> Result<(), DeployError> {
    File::open(path).and_then(|file| file.sync_all()).at(path)
}
