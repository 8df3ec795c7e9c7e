//! The thread that writes.
//!
//! It takes all calls that wait into one transaction and answers them after
//! its commit: what costs, above all waiting for the disk, is paid once for
//! all of them.
//!
//! If one of them fails, the transaction is rolled back and its calls are done
//! again, each in a transaction of its own, so that only the one that fails
//! gets the error. A savepoint around each would make every call pay for what
//! hardly ever happens: SQLite copies each page that it touches once more.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::changes::Follower;
use super::checkpoints::Checkpoints;
use super::connection::File;
use super::error::{Done, Fault};
use super::job::Job;
use super::sessions::Observations;
use super::statement;
use super::work::{Completed, Work};
use crate::store::hub::Hub;
use crate::store::{Change, StoreError};

/// Most calls of one transaction.
const BATCH: usize = 256;
/// How often other processes' commits are looked for: while somebody may be
/// waiting for them, while something runs that they may ask to stop, and
/// otherwise.
const ATTENTIVE: Duration = Duration::from_millis(10);
const WORKING: Duration = Duration::from_millis(50);
const DROWSY: Duration = Duration::from_millis(1250);
/// How long after a call somebody may still be waiting: waiting calls of the
/// engine come back every two seconds.
const ATTENTION: Duration = Duration::from_secs(3);
/// How often it is checked that the file is still there.
const CHECK: Duration = Duration::from_millis(250);

pub(super) enum Message {
    Job(Box<dyn Job>),
    /// Somebody has begun to pay attention.
    Wake,
}

/// What the writer and the callers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) hub: Hub<i64>,
    /// Somebody deleted or replaced the file.
    pub(super) gone: AtomicBool,
    /// For comparison in benchmarks: one transaction for each call.
    pub(super) one_by_one: AtomicBool,
    /// When a client asked last, in milliseconds since the start.
    attended: AtomicU64,
    /// Until when the last lease lasts that was renewed here, likewise.
    working: AtomicU64,
    started: Instant,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            hub: Hub::default(),
            gone: AtomicBool::new(false),
            one_by_one: AtomicBool::new(false),
            attended: AtomicU64::new(0),
            working: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// Says that a client asked; true if the writer should know at once.
    pub(super) fn attend(&self) -> bool {
        let now = self.now().max(1);
        let before = self.attended.swap(now, Ordering::Relaxed);
        before == 0 || now.saturating_sub(before) > millis(ATTENTION)
    }

    /// Says that a session of this process owns something.
    pub(super) fn work(&self, lease: Duration) {
        let end = self.now().saturating_add(millis(lease));
        self.working.fetch_max(end, Ordering::Relaxed);
    }

    fn pause(&self) -> Duration {
        let now = self.now();
        let last = self.attended.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) <= millis(ATTENTION) {
            ATTENTIVE
        } else if now < self.working.load(Ordering::Relaxed) {
            WORKING
        } else {
            DROWSY
        }
    }

    fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(gone().into());
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn gone() -> Fault {
    Fault::other("SQLite store: the file was deleted or replaced while it was open")
}

pub(super) struct Writer {
    connection: Connection,
    file: File,
    shared: Arc<Shared>,
    sessions: Observations,
    follower: Follower,
    durable: bool,
    checked: Instant,
    checkpoints: Checkpoints,
    /// So that the same trouble is logged once.
    complained: bool,
}

/// Why a transaction came to nothing.
enum Broken {
    /// One of its calls failed.
    Call(Fault),
    /// It could not begin, or not be committed.
    Whole(Fault),
}

impl Writer {
    pub(super) fn new(connection: Connection, file: File, shared: Arc<Shared>) -> Done<Self> {
        let follower = Follower::new(&connection)?;
        Ok(Self {
            connection,
            file,
            shared,
            sessions: Observations::default(),
            follower,
            durable: false,
            checked: Instant::now(),
            checkpoints: Checkpoints::default(),
            complained: false,
        })
    }

    /// Works until the last handle is gone.
    pub(super) fn run(mut self, messages: &mpsc::Receiver<Message>, readers: Vec<JoinHandle<()>>) {
        loop {
            let mut jobs = Vec::new();
            match messages.recv_timeout(self.shared.pause()) {
                Ok(Message::Job(job)) => jobs.push(job),
                Ok(Message::Wake) | Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            while !jobs.is_empty() && jobs.len() < BATCH {
                match messages.try_recv() {
                    Ok(Message::Job(job)) => jobs.push(job),
                    Ok(Message::Wake) => {}
                    Err(_) => break,
                }
            }
            self.check_file();
            if !jobs.is_empty() {
                self.serve(jobs);
            }
            if let Err(fault) = self.follower.follow(&self.connection, &self.shared.hub) {
                self.complain("could not follow other processes", fault);
            }
        }
        // The last connection to be closed writes the log back into the file;
        // those that only read could not.
        for reader in readers {
            // Its panics have been answered.
            let _ = reader.join();
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "could not close the SQLite store");
        }
    }

    fn check_file(&mut self) {
        if self.checked.elapsed() >= CHECK {
            self.checked = Instant::now();
            let gone = !self.file.is_there();
            self.shared.gone.store(gone, Ordering::Relaxed);
        }
    }

    fn serve(&mut self, jobs: Vec<Box<dyn Job>>) {
        if self.shared.gone.load(Ordering::Relaxed) {
            answer_all(jobs, gone());
            return;
        }
        if self.shared.one_by_one.load(Ordering::Relaxed) {
            for job in jobs {
                self.commit(vec![job]);
                self.checkpoint();
            }
            return;
        }
        let jobs = self.look(jobs);
        if !jobs.is_empty() {
            self.commit(jobs);
            self.checkpoint();
        }
    }

    /// Answers, without taking the write lock, calls that have nothing to
    /// write; returns the others. Where there is something to write anyway,
    /// they find that out in the transaction.
    fn look(&mut self, jobs: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        if !jobs.iter().all(|job| job.can_look()) {
            return jobs;
        }
        let mut left = Vec::new();
        for mut job in jobs {
            let mut work = Work::new(&self.connection, &mut self.sessions);
            match job.look(&mut work) {
                Ok(true) => job.answer(Ok(())),
                Ok(false) => left.push(job),
                Err(fault) => job.answer(Err(fault.into())),
            }
        }
        left
    }

    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        match self.transact(&mut jobs) {
            Ok(()) => {
                for job in jobs {
                    job.answer(Ok(()));
                }
            }
            Err(Broken::Whole(fault)) => answer_all(jobs, fault),
            Err(Broken::Call(fault)) if jobs.len() == 1 => answer_all(jobs, fault),
            Err(Broken::Call(_)) => self.commit_each(jobs),
        }
    }

    fn commit_each(&mut self, jobs: Vec<Box<dyn Job>>) {
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            let mut one = vec![job];
            match self.transact(&mut one) {
                Ok(()) => {
                    for job in one {
                        job.answer(Ok(()));
                    }
                }
                // The others would wait as long, one after the other.
                Err(Broken::Whole(fault)) if fault.is_locked() => {
                    answer_all(one.into_iter().chain(jobs), fault);
                    return;
                }
                Err(Broken::Whole(fault) | Broken::Call(fault)) => answer_all(one, fault),
            }
        }
    }

    /// Does these calls in one transaction; whatever goes wrong, none of them
    /// has happened.
    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Broken> {
        let durable = jobs.iter().any(|job| job.is_durable())
            || self.shared.one_by_one.load(Ordering::Relaxed);
        let done = self.attempt(jobs, durable);
        match done {
            Ok(completed) => {
                self.tell(completed);
                Ok(())
            }
            Err(broken) => {
                if !self.connection.is_autocommit()
                    && let Err(error) = self.connection.execute_batch("ROLLBACK")
                {
                    self.complain("could not roll back", error.into());
                }
                Err(broken)
            }
        }
    }

    fn attempt(&mut self, jobs: &mut [Box<dyn Job>], durable: bool) -> Result<Completed, Broken> {
        let whole = |error: rusqlite::Error| Broken::Whole(error.into());
        if durable != self.durable {
            let level = if durable { "FULL" } else { "NORMAL" };
            self.connection
                .execute_batch(&format!("PRAGMA synchronous = {level}"))
                .map_err(whole)?;
            self.durable = durable;
        }
        self.execute("BEGIN IMMEDIATE").map_err(whole)?;
        let mut work = Work::new(&self.connection, &mut self.sessions);
        for job in jobs {
            job.run(&mut work).map_err(Broken::Call)?;
        }
        let completed = work.complete().map_err(Broken::Whole)?;
        self.execute("COMMIT").map_err(whole)?;
        Ok(completed)
    }

    fn execute(&self, sql: &'static str) -> rusqlite::Result<()> {
        statement::prepare(&self.connection, sql)?.execute([])?;
        Ok(())
    }

    fn tell(&mut self, completed: Completed) {
        for (ns, session, beats, lease, moment) in completed.observed {
            self.shared.work(lease);
            self.sessions.saw(ns, session, beats, moment.by_now());
        }
        let hub = &self.shared.hub;
        if let Some(left) = completed.left
            && let Err(fault) = self.follower.passed(&self.connection, left, hub)
        {
            self.shared.hub.tell_all(Change::Resync);
            self.complain("could not follow other processes", fault);
        }
        self.shared.hub.tell(&completed.changes);
    }

    fn checkpoint(&mut self) {
        match self.checkpoints.after_commit(&self.connection) {
            Ok(()) => self.complained = false,
            Err(fault) => self.complain("could not write the log back", fault),
        }
    }

    fn complain(&mut self, what: &str, fault: Fault) {
        if !self.complained {
            let error = StoreError::from(fault);
            tracing::warn!(%error, "{what}");
        }
        self.complained = true;
    }
}

fn answer_all(jobs: impl IntoIterator<Item = Box<dyn Job>>, fault: Fault) {
    let error = fault.shared();
    for job in jobs {
        job.answer(Err(error()));
    }
}
