//! What metrics and traces cost: servers that have somebody who listens against
//! one that has nobody, each a process of its own.

use std::time::Duration;

use async_tool::AsyncTools;
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::testing::trace::NoopSpanExporter;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::compare::Rounds;
use crate::process::HttpProcess;
use crate::row;
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::tools::{echo, echo_server};

/// The argument that makes a process such a server; the next one says who
/// listens.
pub(crate) const SERVE: &str = "serve-telemetry";

const ROUNDS: Rounds = Rounds {
    rounds: 30,
    calls: 200,
    batch: 1,
};

const NOBODY: &str = "nobody";
const METRICS: &str = "metrics";
const TRACES: &str = "metrics+traces";

/// A server, its client, and a task that has ended.
struct Side {
    server: HttpProcess,
    client: Client,
    task: String,
}

impl Side {
    async fn start(listeners: &str) -> Result<Self, BoxError> {
        let server = HttpProcess::start([SERVE, listeners]).await?;
        let client = Client::http(&server.uri).await?;
        let task = client.initiate("echo_initiate", echo("hello")).await?;
        client.completed("echo_status", &task).await?;
        Ok(Self {
            server,
            client,
            task,
        })
    }

    async fn initiate(&self) -> Result<(), BoxError> {
        let task = self.client.initiate("echo_initiate", echo("hello"));
        task.await.map(drop)
    }

    async fn status(&self) -> Result<(), BoxError> {
        let status = self.client.status("echo_status", &self.task);
        status.await.map(drop)
    }

    async fn stop(self) -> Result<(), BoxError> {
        self.client.close().await?;
        self.server.stop().await
    }
}

pub(crate) async fn run() -> Result<(), BoxError> {
    for listeners in [METRICS, TRACES] {
        let (told, silent) = (Side::start(listeners).await?, Side::start(NOBODY).await?);
        let initiate = ROUNDS.compare(
            async || told.initiate().await,
            async || silent.initiate().await,
        );
        let initiate = initiate.await?;
        let status = ROUNDS.compare(async || told.status().await, async || silent.status().await);
        let status = status.await?;
        for (what, ratio) in [("initiate", initiate), ("status", status)] {
            let what = format!("{what}, {listeners} / {NOBODY}, memory, HTTP on loopback, p50");
            row(&what, &ratio.to_string(), "-");
        }
        told.stop().await?;
        silent.stop().await?;
    }
    Ok(())
}

/// What such a process does: serves until its input ends.
pub(crate) async fn serve(listeners: &str) -> Result<(), BoxError> {
    let (metrics, traces) = match listeners {
        NOBODY => (false, false),
        METRICS => (true, false),
        TRACES => (true, true),
        other => return Err(format!("nobody is `{other}`").into()),
    };
    if metrics {
        scrape_every_second()?;
    }
    let _provider = if traces { Some(export()?) } else { None };
    let tools: AsyncTools = echo_server().await?;
    HttpProcess::serve(tools).await
}

/// Oftener than any scraper: all that it costs is in the measurement.
fn scrape_every_second() -> Result<(), BoxError> {
    let prometheus = PrometheusBuilder::new()
        .set_buckets(&[0.001, 0.01, 0.1, 1.0, 10.0])?
        .install_recorder()?;
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            std::hint::black_box(prometheus.render());
        }
    });
    Ok(())
}

/// Exports spans in batches, as to a collector, to nobody.
fn export() -> Result<SdkTracerProvider, BoxError> {
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(NoopSpanExporter::new())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("budget"));
    tracing_subscriber::registry()
        .with(EnvFilter::new("info,rmcp=warn"))
        .with(layer)
        .try_init()?;
    Ok(provider)
}
