//! Replica processes behind a load balancer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::balancer;
use crate::crash::arena::Scene;
use crate::crash::callers::Addresses;
use crate::crash::client::Target;
use crate::crash::host::{Host, Process};
use crate::crash::ledger::Ledger;

/// A fleet, and where its parts are.
pub(crate) struct Fleet {
    pub(crate) ledger: Ledger,
    host: Host,
    replicas: Vec<Option<Process>>,
    /// For the balancer.
    serving: watch::Sender<Vec<SocketAddr>>,
    /// For callers: the balancer, and each replica.
    targets: watch::Sender<Vec<Option<Target>>>,
    pub(crate) balancer: SocketAddr,
    _scene: Scene,
}

impl Fleet {
    /// Starts replicas on a store.
    pub(crate) async fn start(replicas: usize, store: &str) -> Self {
        let scene = Scene::new();
        let mut host = scene.host();
        host.store = Some(store.to_owned());
        host.http = true;
        host.slots = 8;
        // Not lost by the living, on a machine that has a lot to do.
        host.lease = Duration::from_secs(2);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback");
        let balancer = listener.local_addr().expect("bound");
        let serving = watch::Sender::new(Vec::new());
        tokio::spawn(balancer::balance(listener, serving.subscribe()));
        let mut fleet = Self {
            ledger: host.ledger(),
            host,
            replicas: (0..replicas).map(|_| None).collect(),
            serving,
            targets: watch::Sender::new(Vec::new()),
            balancer,
            _scene: scene,
        };
        fleet.start_all().await;
        fleet
    }

    pub(crate) fn len(&self) -> usize {
        self.replicas.len()
    }

    /// Where callers may call: half of them through the balancer.
    pub(crate) fn addresses(&self) -> Addresses {
        let places = 4 * self.replicas.len();
        Addresses::new(self.targets.subscribe(), (0..places).collect())
    }

    /// Starts everything that is down.
    pub(crate) async fn start_all(&mut self) {
        let starting: Vec<_> = (0..self.replicas.len())
            .filter(|place| self.replicas[*place].is_none())
            .map(|place| (place, self.host.spawn()))
            .collect();
        for (place, starting) in starting {
            let process = starting.serves().await.expect("the server starts");
            self.replicas[place] = Some(process);
        }
        self.tell();
    }

    /// As `kill -9` does.
    pub(crate) async fn kill(&mut self, place: usize) {
        if let Some(process) = self.replicas[place].take() {
            self.tell();
            crate::crash::host::Starting::from(process)
                .kill(&self.ledger)
                .await;
        }
    }

    /// Stops a replica until [`thaw`](Self::thaw); whoever calls it waits.
    pub(crate) fn freeze(&self, place: usize) {
        if let Some(process) = &self.replicas[place] {
            process.stop();
        }
    }

    pub(crate) fn thaw(&self, place: usize) {
        if let Some(process) = &self.replicas[place] {
            process.signal(Signal::CONT);
        }
    }

    fn tell(&self) {
        let addresses: Vec<_> = self
            .replicas
            .iter()
            .flatten()
            .map(|process| process.address)
            .collect();
        let direct = addresses.iter().copied();
        let balanced = addresses.iter().map(|_| self.balancer);
        let targets = direct
            .chain(balanced)
            .flat_map(|address| [Target::Http(address), Target::Modern(address)])
            .map(Some);
        let mut targets: Vec<_> = targets.collect();
        targets.resize(4 * self.replicas.len(), None);
        self.serving.send_replace(addresses);
        self.targets.send_replace(targets);
    }
}
