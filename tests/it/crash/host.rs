//! A server in a process of its own: the test binary starts itself again, to
//! run the one test in here, which serves until it is killed.

use std::env;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_tool::{AsyncTools, store};
use axum::Router;
use rmcp::ServiceExt;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::ledger::Ledger;
use super::tools;

/// Holds the [`Host`], for the process that serves.
const VARIABLE: &str = "ASYNC_TOOL_TEST_HOST";
/// How long a process may take to serve, on a machine that has a lot to do.
const START: Duration = Duration::from_secs(30);

/// How a server process serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Host {
    pub(crate) directory: PathBuf,
    pub(crate) namespace: String,
    pub(crate) lease: Duration,
    pub(crate) slots: usize,
    /// Where tasks are kept, if not in a file of the directory.
    pub(crate) store: Option<String>,
    /// It serves stateless streamable HTTP.
    pub(crate) http: bool,
    /// Where callers may want to be told.
    pub(crate) receiver: Option<SocketAddr>,
}

impl Host {
    /// A server whose files are all in this directory.
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            namespace: "default".to_owned(),
            lease: Duration::from_millis(500),
            slots: 16,
            store: None,
            http: false,
            receiver: None,
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.join("tasks.db")
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::open(&self.directory.join("ledger"))
    }

    /// Starts a process; it ends when what is returned is dropped.
    pub(crate) fn spawn(&self) -> Starting {
        self.spawn_by(Command::new(program())).expect("a process")
    }

    /// Starts a process by a command that executes what its last arguments
    /// say.
    pub(crate) fn spawn_by(&self, mut command: Command) -> io::Result<Starting> {
        let log = self.directory.join("log");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log opens");
        let child = command
            .args(["--exact", "crash::host::serve_until_killed"])
            .arg("--nocapture")
            .env(VARIABLE, serde_json::to_string(self).expect("serialises"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Starting { child })
    }

    /// Starts a process that serves.
    pub(crate) async fn start(&self) -> Process {
        self.spawn().serves().await.expect("the server starts")
    }

    async fn serve(self) -> Result<(), async_tool::BoxError> {
        let file = || format!("sqlite:{}", self.database().display());
        let store = store::from_url(&self.store.clone().unwrap_or_else(file)).await?;
        let builder = AsyncTools::builder()
            .registry(tools::registry())
            .state(self.ledger())
            .state(tools::Bell::default())
            .store(store)
            .namespace(self.namespace)
            .lease(self.lease)
            .slots(self.slots)
            .single_user();
        #[cfg(feature = "webhook")]
        let builder = match self.receiver {
            Some(receiver) => {
                let hooks = crate::webhooks::local()
                    .allow_host(receiver.to_string())
                    .timeout(Duration::from_secs(3));
                builder.webhooks(hooks)
            }
            None => builder,
        };
        let tools = builder.build().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&format!("serves {}", listener.local_addr()?));
        if self.http {
            return Ok(axum::serve(listener, http(tools)).await?);
        }
        loop {
            let (stream, _) = listener.accept().await?;
            let tools = tools.clone();
            tokio::spawn(async move {
                if let Ok(service) = tools.serve(stream).await {
                    let _ = service.waiting().await;
                }
            });
        }
    }
}

/// Any replica takes any request.
fn http(tools: AsyncTools) -> Router {
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = false;
    config.json_response = true;
    let layer = tools.http_layer();
    let service = layer.layer(StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    ));
    Router::new().nest_service("/mcp", service)
}

/// What a process executes.
pub(crate) fn program() -> PathBuf {
    env::current_exe().expect("a test binary")
}

/// The other tests read this.
fn say(line: &str) {
    writeln!(io::stdout(), "\n{line}").expect("somebody reads");
}

/// The server process of the other tests; by itself it tests nothing.
#[test]
fn serve_until_killed() {
    let Ok(host) = env::var(VARIABLE) else {
        return;
    };
    let host: Host = serde_json::from_str(&host).expect("written by a test");
    std::thread::spawn(|| {
        // Ends with the test that holds the other end, however that ends.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_env_filter("warn,async_tool_runtime=info")
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if let Err(error) = runtime.block_on(host.serve()) {
        say(&format!("failed {}", error.to_string().replace('\n', " ")));
    }
}

/// A process that may not serve yet.
pub(crate) struct Starting {
    child: Child,
}

/// A process that serves.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Kept open for whatever it may write.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Starting {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it has not ended")
    }

    /// Waits until it serves; or says why it does not.
    pub(crate) async fn serves(mut self) -> Result<Process, String> {
        let stdout = self.child.stdout.take().expect("taken once");
        let mut lines = BufReader::new(stdout).lines();
        let found = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = line.strip_prefix("serves ") {
                    return Ok(address.parse().expect("an address"));
                }
                if let Some(error) = line.strip_prefix("failed ") {
                    return Err(error.to_owned());
                }
            }
            Err("it ended without a word".to_owned())
        };
        let address = timeout(START, found).await.expect("it says something")?;
        Ok(Process {
            child: self.child,
            address,
            _stdout: lines,
        })
    }

    /// As `kill -9` does; returns when it is gone.
    pub(crate) async fn kill(mut self, ledger: &Ledger) {
        ledger.kill(self.pid());
        self.child.kill().await.expect("it could be killed");
    }
}

impl From<Process> for Starting {
    fn from(process: Process) -> Self {
        Self {
            child: process.child,
        }
    }
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it has not ended")
    }

    /// Sends a signal that does not end it.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.id(), signal).expect("it is there");
    }

    /// Stops it; returns when all of its threads have stopped.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let (_, status) = waitpid(Some(self.id()), WaitOptions::UNTRACED)
            .expect("a child")
            .expect("waited for");
        assert!(status.stopped(), "{status:?}");
    }

    /// Lets its files grow to this many bytes at most.
    #[cfg(target_os = "linux")]
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        use rustix::process::{Resource, Rlimit, prlimit};

        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(self.id()), Resource::Fsize, limit).expect("it may be set");
    }

    fn id(&self) -> Pid {
        let pid = i32::try_from(self.pid()).ok();
        pid.and_then(Pid::from_raw).expect("an id")
    }
}
