//! A client of streamable HTTP that writes and reads the protocol itself.

use std::net::SocketAddr;
use std::time::Duration;

use async_tool::AsyncTools;
use axum::Router;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// For what ought to come soon; real time passes here.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a server keeps sessions, and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Sessions,
    Stateless,
    StatelessJson,
}

/// Serves on a free port of the loopback interface.
pub(crate) async fn serve(tools: AsyncTools, mode: Mode) -> SocketAddr {
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = mode == Mode::Sessions;
    config.json_response = mode == Mode::StatelessJson;
    let layer = tools.http_layer();
    let service = layer.layer(StreamableHttpService::new(
        move || Ok(tools.clone()),
        LocalSessionManager::default().into(),
        config,
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let router = Router::new().nest_service("/mcp", service);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A client of one server.
pub(crate) struct Http {
    address: SocketAddr,
    /// Sent with each request.
    headers: Vec<(&'static str, String)>,
    next: u64,
    meta: Option<Value>,
}

impl Http {
    /// A client of 2026-07-28 with these capabilities.
    pub(crate) fn modern(address: SocketAddr, capabilities: &Value) -> Self {
        Self {
            address,
            headers: vec![("MCP-Protocol-Version", "2026-07-28".to_owned())],
            next: 0,
            meta: Some(json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": capabilities,
            })),
        }
    }

    /// A client of 2025-11-25; and what the server said of itself.
    pub(crate) async fn legacy(address: SocketAddr, capabilities: &Value) -> (Self, Value) {
        let mut http = Self {
            address,
            headers: Vec::new(),
            next: 0,
            meta: None,
        };
        let params = json!({
            "protocolVersion": "2025-11-25",
            "clientInfo": {"name": "raw", "version": "1"},
            "capabilities": capabilities,
        });
        let mut answer = http.post("initialize", params).await;
        let initialized = answer.last().await;
        if let Some(session) = answer.header("mcp-session-id") {
            http.headers.push(("Mcp-Session-Id", session));
        }
        let version = initialized["result"]["protocolVersion"].as_str();
        let version = version.expect("a version").to_owned();
        http.headers.push(("MCP-Protocol-Version", version));
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(http.send("POST", &[], Some(&ready)).await.status, 202);
        (http, initialized)
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Sends a request.
    pub(crate) async fn post(&mut self, method: &str, mut params: Value) -> Answer {
        self.next += 1;
        let mut headers = Vec::new();
        if let Some(Value::Object(meta)) = &self.meta {
            for (key, value) in meta {
                params["_meta"][key] = value.clone();
            }
            headers.push(("Mcp-Method", method.to_owned()));
            let name = ["name", "uri", "taskId"].map(|name| params[name].as_str());
            if let Some(name) = name.into_iter().flatten().next() {
                headers.push(("Mcp-Name", name.to_owned()));
            }
        }
        let message = json!({
            "jsonrpc": "2.0", "id": self.next, "method": method, "params": params,
        });
        self.send("POST", &headers, Some(&message)).await
    }

    /// Sends a request; the message that answers it.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        self.post(method, params).await.last().await
    }

    /// Answers a request of the server's.
    pub(crate) async fn respond(&self, id: &Value, result: &Value) {
        let message = json!({"jsonrpc": "2.0", "id": id, "result": result});
        assert_eq!(self.send("POST", &[], Some(&message)).await.status, 202);
    }

    /// The stream of what the server says unasked.
    pub(crate) async fn listen(&self) -> Answer {
        self.send("GET", &[], None).await
    }

    /// HTTP 1.0 has no chunks, and the end of the connection ends the body.
    async fn send(&self, method: &str, headers: &[(&str, String)], body: Option<&Value>) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("listens");
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut head = format!(
            "{method} /mcp HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
            body.len(),
        );
        for (name, value) in self
            .headers
            .iter()
            .map(|(n, v)| (*n, v))
            .chain(headers.iter().map(|(n, v)| (*n, v)))
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let request = format!("{head}\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("open");
        Answer::read(BufReader::new(stream)).await
    }
}

/// What comes back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
}

impl Answer {
    async fn read(mut stream: BufReader<TcpStream>) -> Self {
        let mut headers = Vec::new();
        let mut status = None;
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, stream.read_line(&mut line)).await;
            read.expect("an answer").expect("open");
            match (status, line.trim_end().split_once(": ")) {
                (None, _) => {
                    let code = line.split(' ').nth(1).expect("a status");
                    status = Some(code.parse().expect("a number"));
                }
                (_, Some((name, value))) => {
                    headers.push((name.to_lowercase(), value.to_owned()));
                }
                (Some(status), None) => {
                    return Self {
                        status,
                        headers,
                        stream,
                    };
                }
            }
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    /// The next message; None at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        if self.header("content-type").as_deref() != Some("text/event-stream") {
            let mut body = String::new();
            let read = timeout(PATIENCE, self.stream.read_to_string(&mut body)).await;
            read.expect("it ends").expect("open");
            return (!body.is_empty()).then(|| {
                serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"))
            });
        }
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.stream.read_line(&mut line)).await;
            if read.expect("a message").expect("open") == 0 {
                return None;
            }
            let data = line.trim_end().strip_prefix("data:").map(str::trim);
            if let Some(data) = data.filter(|data| !data.is_empty()) {
                return Some(serde_json::from_str(data).expect("JSON"));
            }
        }
    }

    /// The next message like this.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.next().await.expect("not the end");
            if wanted(&message) {
                return message;
            }
        }
    }

    /// The message that answers the request.
    pub(crate) async fn last(&mut self) -> Value {
        self.until(|message| message.get("method").is_none()).await
    }
}
