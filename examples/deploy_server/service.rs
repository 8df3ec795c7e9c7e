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
//! two system calls. What it leaves behind are temporary files, and a release
//! that was to become live if its task is not started again. The next deployment
//! removes both; a manifest says whether its release has ever been live.

use std::cmp::Reverse;
use std::fs::{self, File, Permissions, set_permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use async_tool::TaskContext;
use tempfile::TempDir;

use crate::disk::{sync, sync_all};
use crate::error::{At, DeployError};
use crate::name::Name;
use crate::release::{MANIFEST, Manifest, Release};
use crate::stage::{Limits, Stage};

/// What the names of temporary files and directories begin with.
const TEMPORARY: &str = ".tmp-";

/// The directory of one service in one environment.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    directory: PathBuf,
    /// For people to read.
    pub(crate) title: String,
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

    /// All releases that are live or were, latest first.
    pub(crate) fn releases(&self) -> Result<Vec<Release>, DeployError> {
        let live = self.live()?;
        let mut releases = Vec::new();
        for number in self.numbers()? {
            let is_live = live == Some(number);
            let manifest = self.manifest(number)?;
            if let Some(manifest) = manifest.filter(|it| it.was_live || is_live) {
                releases.push(Release {
                    live: is_live,
                    ..manifest.release
                });
            }
        }
        Ok(releases)
    }

    /// Where a release comes from; `None` if it does not exist, or was not made
    /// here.
    pub(crate) fn manifest(&self, number: u64) -> Result<Option<Manifest>, DeployError> {
        Manifest::read(&self.release(number))
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
                Some(target) if self.was_live(target)? => Ok(target),
                _ => Err(DeployError::NoPrevious {
                    service: service(),
                    existing: self.existing()?,
                }),
            };
        };
        if live == Some(target) {
            return Err(DeployError::AlreadyLive {
                service: service(),
                number: target,
            });
        }
        if !self.was_live(target)? {
            return Err(DeployError::NoRelease {
                service: service(),
                number: target,
                existing: self.existing()?,
            });
        }
        Ok(target)
    }

    fn existing(&self) -> Result<Vec<u64>, DeployError> {
        let releases = self.releases()?;
        Ok(releases.iter().map(|release| release.number).collect())
    }

    fn was_live(&self, number: u64) -> Result<bool, DeployError> {
        let manifest = self.manifest(number)?;
        Ok(manifest.is_some_and(|manifest| manifest.was_live))
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
        let _lock = self.lock()?;
        self.discard_never_live()?;
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

    /// Removes releases that were to become live, and whose tasks ended before;
    /// with the lock held. Should one of the tasks be only interrupted, it makes
    /// its release anew.
    fn discard_never_live(&self) -> Result<(), DeployError> {
        let live = self.live()?;
        for number in self.numbers()? {
            // What was not made here, or cannot be read, may have been live.
            let manifest = self.manifest(number).ok().flatten();
            if live != Some(number) && manifest.is_some_and(|it| !it.was_live) {
                self.discard(&self.release(number))?;
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
            was_live: false,
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

    /// Makes a new release live, if `from` is live, or it is already. That
    /// happens once: where somebody has gone back from it before this task could
    /// record that it was live, that is the last word.
    pub(crate) fn introduce(
        &self,
        from: Option<u64>,
        to: u64,
        task: &TaskContext,
    ) -> Result<(), DeployError> {
        let _lock = self.lock()?;
        if self.was_live(to)? {
            self.ensure_live(&[Some(to)])?;
        }
        self.replace(from, to, task)
    }

    /// Makes a release live, if `from` is live, or it is already.
    pub(crate) fn switch(
        &self,
        from: Option<u64>,
        to: u64,
        task: &TaskContext,
    ) -> Result<(), DeployError> {
        let _lock = self.lock()?;
        self.replace(from, to, task)
    }

    /// The same, with the lock held.
    fn replace(&self, from: Option<u64>, to: u64, task: &TaskContext) -> Result<(), DeployError> {
        task.check_cancelled()?;
        self.ensure_live(&[from, Some(to)])?;
        let target = Path::new("releases").join(to.to_string());
        if !self.directory.join(&target).is_dir() {
            return Err(self.superseded());
        }
        if let Some(live) = self.live()? {
            self.record_live(live)?;
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
        sync(&self.directory)?;
        // In case that somebody replaces `current` by hand. Without that, the
        // next switch is early enough, and nothing is wrong if this fails.
        let _ = self.record_live(to);
        Ok(())
    }

    /// Records that a release, which is live, has been so.
    fn record_live(&self, number: u64) -> Result<(), DeployError> {
        let temporary = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(&self.directory)
            .at(&self.directory)?;
        Manifest::record_live(&self.release(number), temporary)
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
        if self.manifest(number)?.is_none() {
            return Ok(());
        }
        let _lock = self.lock()?;
        let ours = self.manifest(number)?.is_some_and(|manifest| {
            let same = manifest.task == task.id().to_string();
            same && manifest.epoch <= task.epoch() && !manifest.was_live
        });
        if ours && self.live()? != Some(number) {
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
        self.discard_never_live()?;
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
