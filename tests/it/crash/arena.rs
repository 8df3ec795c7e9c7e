//! Server processes on one file, and what is needed to make their life hard.

use std::collections::HashMap;
use std::path::Path;
use std::thread::panicking;

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::sync::watch;

use super::callers::Addresses;
use super::client::Target;
use super::host::{Host, Process, Starting};
use super::ledger::Ledger;

/// A directory that is kept when the test fails.
pub(crate) struct Scene {
    directory: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("async-tool-crash-")
            .tempdir()
            .expect("a directory");
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn host(&self) -> Host {
        Host::new(self.path())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if panicking() {
            self.directory.disable_cleanup(true);
            #[expect(clippy::print_stderr, reason = "shown when the test fails")]
            {
                eprintln!("kept: {}", self.path().display());
            }
        }
    }
}

/// What has become of a [`Host`].
enum Place {
    Down,
    Starting(Starting),
    Serving(Process),
}

/// The processes.
pub(crate) struct Arena {
    pub(crate) ledger: Ledger,
    pub(crate) hosts: Vec<Host>,
    /// Which namespace a process was for.
    pub(crate) namespaces: HashMap<u32, String>,
    places: Vec<Place>,
    addresses: watch::Sender<Vec<Option<Target>>>,
}

impl Arena {
    pub(crate) fn new(hosts: Vec<Host>) -> Self {
        Self {
            ledger: hosts[0].ledger(),
            namespaces: HashMap::new(),
            places: hosts.iter().map(|_| Place::Down).collect(),
            addresses: watch::Sender::new(vec![None; hosts.len()]),
            hosts,
        }
    }

    /// Where the servers of a namespace are.
    pub(crate) fn addresses(&self, namespace: &str) -> Addresses {
        let places = self.hosts.iter().enumerate();
        Addresses::new(
            self.addresses.subscribe(),
            places
                .filter(|(_, host)| host.namespace == namespace)
                .map(|(place, _)| place)
                .collect(),
        )
    }

    /// Starts a process; it may be killed before it serves.
    pub(crate) fn spawn(&mut self, place: usize) {
        let starting = self.hosts[place].spawn();
        let namespace = self.hosts[place].namespace.clone();
        self.namespaces.insert(starting.pid(), namespace);
        self.places[place] = Place::Starting(starting);
    }

    /// Waits until the process that was spawned serves.
    pub(crate) async fn serve(&mut self, place: usize) {
        match std::mem::replace(&mut self.places[place], Place::Down) {
            Place::Starting(starting) => {
                let process = starting.serves().await.expect("the server starts");
                let address = process.address;
                self.places[place] = Place::Serving(process);
                self.addresses
                    .send_modify(|addresses| addresses[place] = Some(address.into()));
            }
            other => self.places[place] = other,
        }
    }

    /// Starts everything that is down.
    pub(crate) async fn serve_all(&mut self) {
        for place in 0..self.places.len() {
            if matches!(self.places[place], Place::Down) {
                self.spawn(place);
            }
        }
        for place in 0..self.places.len() {
            self.serve(place).await;
        }
    }

    /// Kills processes, all at once.
    pub(crate) async fn kill(&mut self, places: &[usize]) {
        let mut dying: Vec<Starting> = Vec::new();
        for place in places {
            match std::mem::replace(&mut self.places[*place], Place::Down) {
                Place::Serving(process) => dying.push(process.into()),
                Place::Starting(starting) => dying.push(starting),
                Place::Down => {}
            }
        }
        join_all(
            dying
                .into_iter()
                .map(|starting| starting.kill(&self.ledger)),
        )
        .await;
        self.addresses.send_modify(|addresses| {
            for place in places {
                addresses[*place] = None;
            }
        });
    }
}
