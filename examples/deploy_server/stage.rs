//! A release in the making: what it may contain, and how much of it.
//!
//! Whoever made an artifact may want to write where it does not belong. So
//! nothing is written through a link, ever: an entry's parents have to be
//! directories that were made here. Where links lead is judged at the end, when
//! all of them are known, since a link is as harmless as those on its way.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{DirBuilder, OpenOptions, Permissions, set_permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use async_tool::TaskContext;
use tempfile::TempDir;

use crate::error::{At, DeployError};
use crate::release::MANIFEST;

/// Longest path of an entry, in bytes.
const MAX_PATH: usize = 1024;
/// Most links on the way to what a link leads to. Linux follows as many.
const MAX_HOPS: usize = 40;
/// Permission bits that a release may have: only its owner writes.
const MODES: u32 = 0o755;
/// Set-user-ID and set-group-ID.
const SET_ID: u32 = 0o6000;

/// How much a release may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Content of files, in bytes.
    pub(crate) bytes: u64,
    /// Files, directories and links.
    pub(crate) entries: usize,
}

/// The directory that a release is written into. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Stage {
    directory: TempDir,
    contents: BTreeMap<PathBuf, Kind>,
    limits: Limits,
    bytes: u64,
    task: TaskContext,
}

#[derive(Debug)]
enum Kind {
    Directory,
    File,
    Link(PathBuf),
    /// Ours to write, when the release is whole.
    Manifest,
}

impl Stage {
    /// Writes into an empty directory.
    pub(crate) fn new(directory: TempDir, limits: Limits, task: TaskContext) -> Self {
        Self {
            directory,
            contents: [(MANIFEST.into(), Kind::Manifest)].into(),
            limits,
            bytes: 0,
            task,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// How many files, directories and links there are.
    pub(crate) fn entries(&self) -> usize {
        self.contents.len() - 1
    }

    /// How many bytes the files hold.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the directory away, to be kept.
    pub(crate) fn into_directory(self) -> TempDir {
        self.directory
    }

    /// Makes a directory, if it is not there yet.
    pub(crate) fn directory(&mut self, path: &Path, mode: u32) -> Result<(), DeployError> {
        let path = clean(path)?;
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        self.parents(&path)?;
        self.one_directory(&path, mode)
    }

    /// Writes a file of `size` bytes.
    pub(crate) fn file(
        &mut self,
        path: &Path,
        mode: u32,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), DeployError> {
        if mode & SET_ID != 0 {
            let why = "would run with somebody else's rights (setuid or setgid); take the bit off";
            return Err(DeployError::refused(path, why));
        }
        if size > self.limits.bytes - self.bytes {
            return Err(DeployError::TooManyBytes(self.limits.bytes));
        }
        let clean = self.place(path)?;
        let place = self.path().join(&clean);
        let mode = (mode & MODES) | 0o600;
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&place)
            .at(&place)?;
        self.contents.insert(clean, Kind::File);

        let mut content = content.take(size);
        let mut chunk = vec![0; 128 * 1024];
        let mut copied = 0;
        loop {
            self.task.check_cancelled()?;
            match content.read(&mut chunk).map_err(DeployError::Unreadable)? {
                0 => break,
                bytes => {
                    file.write_all(&chunk[..bytes]).at(&place)?;
                    copied += bytes as u64;
                }
            }
        }
        if copied < size {
            return Err(DeployError::refused(path, "is shorter than announced"));
        }
        self.bytes += copied;
        // The process's umask takes bits away from what a file is made with.
        set_permissions(&place, Permissions::from_mode(mode)).at(place)
    }

    /// Makes a symbolic link. Where it leads is judged by [`check_links`].
    ///
    /// [`check_links`]: Self::check_links
    pub(crate) fn link(&mut self, path: &Path, target: &Path) -> Result<(), DeployError> {
        let clean = self.place(path)?;
        let place = self.path().join(&clean);
        symlink(target, &place).at(place)?;
        self.contents.insert(clean, Kind::Link(target.to_owned()));
        Ok(())
    }

    /// Makes one more name for a file that is here already.
    pub(crate) fn hard_link(&mut self, path: &Path, original: &Path) -> Result<(), DeployError> {
        let existing = clean(original).ok();
        let existing = existing.filter(|it| matches!(self.contents.get(it), Some(Kind::File)));
        let Some(existing) = existing else {
            let why = "is a hard link to what is no earlier file of the artifact";
            return Err(DeployError::refused(path, why));
        };
        let clean = self.place(path)?;
        let place = self.path().join(&clean);
        std::fs::hard_link(self.path().join(existing), &place).at(place)?;
        self.contents.insert(clean, Kind::File);
        Ok(())
    }

    /// Refuses links that lead outside, nowhere or in circles.
    pub(crate) fn check_links(&self) -> Result<(), DeployError> {
        for (path, kind) in &self.contents {
            if matches!(kind, Kind::Link(_)) {
                self.follow(path)
                    .map_err(|why| DeployError::refused(path, why))?;
            }
        }
        Ok(())
    }

    /// Walks along a link as the kernel would, but never out of the release.
    fn follow(&self, link: &Path) -> Result<(), &'static str> {
        const OUTSIDE: &str = "is a link that leads outside the release; make it relative, and \
                               to something in the artifact";
        let mut hops = 0;
        let mut place = PathBuf::new();
        let mut ahead: VecDeque<PathBuf> = link.iter().map(PathBuf::from).collect();
        while let Some(step) = ahead.pop_front() {
            match step.components().next() {
                Some(Component::Normal(name)) => place.push(name),
                Some(Component::ParentDir) if place.pop() => continue,
                Some(Component::CurDir) | None => continue,
                Some(_) => return Err(OUTSIDE),
            }
            match self.contents.get(&place) {
                Some(Kind::Link(target)) => {
                    hops += 1;
                    if hops > MAX_HOPS {
                        return Err("is a link that leads in circles");
                    }
                    place.pop();
                    target
                        .iter()
                        .rev()
                        .for_each(|step| ahead.push_front(step.into()));
                }
                Some(Kind::Directory) => {}
                Some(Kind::File) if ahead.is_empty() => {}
                _ => return Err("is a link that leads to nothing in the artifact"),
            }
        }
        Ok(())
    }

    /// Where a new entry goes. Its parents exist then, and it does not.
    fn place(&mut self, path: &Path) -> Result<PathBuf, DeployError> {
        let clean = clean(path)?;
        if clean.as_os_str().is_empty() {
            return Err(DeployError::refused(path, "is the release itself"));
        }
        self.parents(&clean)?;
        match self.contents.get(&clean) {
            None => self.room().map(|()| clean),
            Some(Kind::Manifest) => Err(DeployError::refused(
                path,
                "has a name that this server needs; rename it",
            )),
            Some(_) => Err(DeployError::refused(path, "is there twice")),
        }
    }

    fn parents(&mut self, path: &Path) -> Result<(), DeployError> {
        let mut parents: Vec<_> = path.ancestors().skip(1).collect();
        parents.pop();
        parents
            .iter()
            .rev()
            .try_for_each(|parent| self.one_directory(parent, MODES))
    }

    /// Makes a directory whose parent exists.
    fn one_directory(&mut self, path: &Path, mode: u32) -> Result<(), DeployError> {
        self.task.check_cancelled()?;
        match self.contents.get(path) {
            Some(Kind::Directory) => return Ok(()),
            Some(_) => {
                let why = "is no directory, and yet the artifact has something in it";
                return Err(DeployError::refused(path, why));
            }
            None => self.room()?,
        }
        let place = self.path().join(path);
        DirBuilder::new().mode(0o700).create(&place).at(&place)?;
        let mode = (mode & MODES) | 0o700;
        set_permissions(&place, Permissions::from_mode(mode)).at(place)?;
        self.contents.insert(path.to_owned(), Kind::Directory);
        Ok(())
    }

    fn room(&self) -> Result<(), DeployError> {
        if self.entries() < self.limits.entries {
            Ok(())
        } else {
            Err(DeployError::TooManyEntries(self.limits.entries))
        }
    }
}

/// The path of an entry, with nothing in it but names.
fn clean(path: &Path) -> Result<PathBuf, DeployError> {
    if path.as_os_str().len() > MAX_PATH {
        let why = "has a path longer than 1024 bytes";
        return Err(DeployError::refused(path, why));
    }
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => {
                let why = "leads outside the release; paths have to be relative and without `..`";
                return Err(DeployError::refused(path, why));
            }
        }
    }
    Ok(clean)
}
