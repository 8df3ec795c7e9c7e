//! What lies between a client and a server: it notes what passes, loses
//! answers, and breaks.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_tool::BoxError;
use async_tool::client::TaskClient;
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::{RoleClient, ServerHandler, ServiceExt};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex, split};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PIPE: usize = 64 * 1024;

/// Connections to a server, and what is wrong with them.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    /// Answers to be lost, by the name of the tool or method.
    losing: Mutex<Vec<String>>,
    /// Nothing passes.
    silent: AtomicBool,
    /// No connection is made.
    unreachable: AtomicBool,
    cut: Mutex<CancellationToken>,
    connections: AtomicUsize,
    passed: Mutex<Vec<Request>>,
}

/// A request that came by.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    /// The tool that is called, or else the method.
    pub(crate) name: String,
}

impl Wire {
    /// The next answer to this tool or method does not arrive.
    pub(crate) fn lose_answer(&self, name: &str) {
        let mut losing = self.faults.losing.lock().expect("no panic");
        losing.push(name.to_owned());
    }

    /// Whether everything that is said is lost.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.faults.silent.store(silent, Ordering::SeqCst);
    }

    /// Whether there is nobody to connect to.
    pub(crate) fn set_unreachable(&self, unreachable: bool) {
        self.faults.unreachable.store(unreachable, Ordering::SeqCst);
    }

    /// Breaks all connections.
    pub(crate) fn cut(&self) {
        let mut cut = self.faults.cut.lock().expect("no panic");
        std::mem::take(&mut *cut).cancel();
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.faults.connections.load(Ordering::SeqCst)
    }

    /// The requests of this name so far.
    pub(crate) fn passed(&self, name: &str) -> Vec<Request> {
        let passed = self.faults.passed.lock().expect("no panic");
        let of_name = passed.iter().filter(|request| request.name == name);
        of_name.cloned().collect()
    }

    /// A client that connects to this server, and again when need be.
    pub(crate) fn client(&self, server: impl ServerHandler + Clone) -> TaskClient {
        let wire = self.clone();
        TaskClient::connecting(move || {
            let (wire, server) = (wire.clone(), server.clone());
            async move { wire.connect(server).await }
        })
    }

    /// [`client`](Self::client), under the protocol of 2026-07-28.
    pub(crate) fn modern(&self, server: impl ServerHandler + Clone) -> TaskClient {
        let wire = self.clone();
        TaskClient::connecting(move || {
            let (wire, server) = (wire.clone(), server.clone());
            async move {
                let modern = ClientLifecycleMode::Discover {
                    preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                };
                let end = wire.lay(server)?;
                Ok::<_, BoxError>(().serve_with_lifecycle(end, modern).await?)
            }
        })
    }

    pub(crate) async fn connect(
        &self,
        server: impl ServerHandler,
    ) -> Result<RunningService<RoleClient, ()>, BoxError> {
        Ok(().serve(self.lay(server)?).await?)
    }

    /// The client's end of a new connection.
    fn lay(&self, server: impl ServerHandler) -> Result<DuplexStream, BoxError> {
        if self.faults.unreachable.load(Ordering::SeqCst) {
            return Err("nobody there".into());
        }
        self.faults.connections.fetch_add(1, Ordering::SeqCst);
        let (client, near) = duplex(PIPE);
        let (far, end) = duplex(PIPE);
        tokio::spawn(async move {
            if let Ok(service) = server.serve(end).await {
                let _ = service.waiting().await;
            }
        });
        let cut = self.faults.cut.lock().expect("no panic").clone();
        let faults = Arc::clone(&self.faults);
        tokio::spawn(async move { cut.run_until_cancelled(pass(near, far, &faults)).await });
        Ok(client)
    }
}

/// Passes messages on, both ways, until one side has ended.
async fn pass(client: DuplexStream, server: DuplexStream, faults: &Faults) {
    let (from_client, mut to_client) = split(client);
    let (from_server, mut to_server) = split(server);
    let mut requests = BufReader::new(from_client).lines();
    let mut answers = BufReader::new(from_server).lines();
    let mut lost = HashSet::new();
    loop {
        tokio::select! {
            Ok(Some(line)) = requests.next_line() => {
                let message: Value = serde_json::from_str(&line).expect("JSON");
                if faults.note(&message) {
                    lost.insert(message["id"].to_string());
                }
                if !faults.silent.load(Ordering::SeqCst) {
                    send(&mut to_server, &line).await;
                }
            }
            Ok(Some(line)) = answers.next_line() => {
                let message: Value = serde_json::from_str(&line).expect("JSON");
                let is_lost = message.get("method").is_none()
                    && lost.remove(&message["id"].to_string());
                if !is_lost && !faults.silent.load(Ordering::SeqCst) {
                    send(&mut to_client, &line).await;
                }
            }
            else => return,
        }
    }
}

async fn send(to: &mut (impl AsyncWriteExt + Unpin), line: &str) {
    // Whoever has gone reads no more.
    let _ = to.write_all(format!("{line}\n").as_bytes()).await;
}

impl Faults {
    /// Notes what comes by; says whether its answer is to be lost.
    fn note(&self, message: &Value) -> bool {
        let tool = message["params"]["name"].as_str();
        let name = tool.or(message["method"].as_str());
        let name = name.unwrap_or_default().to_owned();
        let mut losing = self.losing.lock().expect("no panic");
        let loses = losing.iter().position(|losing| *losing == name);
        if let Some(index) = loses {
            losing.remove(index);
        }
        self.passed.lock().expect("no panic").push(Request {
            at: Instant::now(),
            name,
        });
        loses.is_some()
    }
}
