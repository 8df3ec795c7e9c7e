//! A client that writes and reads JSON lines itself, for what is on the wire.

use std::collections::VecDeque;

use async_tool::AsyncTools;
use rmcp::{ServerHandler, ServiceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};

/// One end of a pipe to a server.
pub(crate) struct Raw {
    lines: tokio::io::Lines<BufReader<ReadHalf<DuplexStream>>>,
    output: WriteHalf<DuplexStream>,
    next: u64,
    /// Messages that came while another was waited for.
    early: VecDeque<Value>,
    /// Goes into the `_meta` of each request.
    meta: Option<Value>,
}

impl Raw {
    fn open(tools: &AsyncTools, handler: impl ServerHandler, meta: Option<Value>) -> Self {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(near);
        let transport = tools.transport(input, output);
        tokio::spawn(async move {
            if let Ok(service) = handler.serve(transport).await {
                let _ = service.waiting().await;
            }
        });
        let (input, output) = tokio::io::split(far);
        Self {
            lines: BufReader::new(input).lines(),
            output,
            next: 0,
            early: VecDeque::new(),
            meta,
        }
    }

    /// A client of protocol 2026-07-28 with these capabilities.
    pub(crate) fn modern(tools: AsyncTools, capabilities: &Value) -> Self {
        Self::modern_with(&tools.clone(), tools, capabilities)
    }

    /// The same, of a handler that these tools were wrapped around.
    pub(crate) fn modern_with(
        tools: &AsyncTools,
        handler: impl ServerHandler,
        capabilities: &Value,
    ) -> Self {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        });
        Self::open(tools, handler, Some(meta))
    }

    /// A client of protocol 2025-11-25; and what the server said of itself.
    pub(crate) async fn legacy(tools: AsyncTools, capabilities: &Value) -> (Self, Value) {
        Self::legacy_of(tools, "2025-11-25", capabilities).await
    }

    /// The same for any version that begins with `initialize`.
    pub(crate) async fn legacy_of(
        tools: AsyncTools,
        version: &str,
        capabilities: &Value,
    ) -> (Self, Value) {
        let raw = Self::open(&tools.clone(), tools, None);
        raw.initialized(version, capabilities).await
    }

    /// A client of 2025-11-25 of a handler that these tools were wrapped around.
    pub(crate) async fn legacy_with(
        tools: &AsyncTools,
        handler: impl ServerHandler,
    ) -> (Self, Value) {
        let raw = Self::open(tools, handler, None);
        raw.initialized("2025-11-25", &json!({})).await
    }

    async fn initialized(mut self, version: &str, capabilities: &Value) -> (Self, Value) {
        let raw = &mut self;
        let initialized = raw
            .request(
                "initialize",
                json!({
                    "protocolVersion": version,
                    "clientInfo": {"name": "raw", "version": "1"},
                    "capabilities": capabilities,
                }),
            )
            .await;
        raw.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        (self, initialized)
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.output.write_all(line.as_bytes()).await.expect("open");
    }

    /// Sends a request; its id.
    pub(crate) async fn begin(&mut self, method: &str, mut params: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        if let Some(Value::Object(meta)) = &self.meta {
            for (key, value) in meta {
                params["_meta"][key] = value.clone();
            }
        }
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await;
        id
    }

    /// The message with the answer to a request.
    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        self.until(|message| message["id"] == id && message.get("method").is_none())
            .await
    }

    /// Sends a request and waits for the message that answers it.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params).await;
        self.answer(id).await
    }

    /// The next message, whatever it is.
    pub(crate) async fn next(&mut self) -> Value {
        self.until(|_| true).await
    }

    /// Whether a message like this came while another was waited for.
    pub(crate) fn has_seen(&self, wanted: impl Fn(&Value) -> bool) -> bool {
        self.early.iter().any(wanted)
    }

    /// Whether there are messages of this method that nobody has waited for.
    pub(crate) fn came(&self, method: &str) -> bool {
        self.early.iter().any(|message| message["method"] == method)
    }

    /// The next message like this.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.early.iter().position(&wanted) {
            return self.early.remove(at).expect("found");
        }
        loop {
            let line = self.lines.next_line().await.expect("open").expect("a line");
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if wanted(&message) {
                return message;
            }
            self.early.push_back(message);
        }
    }
}

/// Replaces what differs from run to run by what it must look like.
pub(crate) fn normalised(mut message: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value.as_str()) {
                        ("taskId", Some(id)) if id.len() >= 32 => *value = json!("TASK"),
                        ("createdAt" | "lastUpdatedAt", Some(time)) if is_time(time) => {
                            *value = json!("TIME");
                        }
                        _ => walk(value),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut message);
    message
}

/// RFC 3339 in UTC, with milliseconds.
fn is_time(text: &str) -> bool {
    text.len() == "2026-11-20T10:00:00.000Z".len() && text.ends_with('Z') && text.contains('T')
}
