//! The whole, from a real MCP client's side: every module drives a server with
//! generated tools over a pipe, on a paused clock where time matters.

mod adversarial;
mod again;
mod asking;
mod beside;
mod circuit;
#[cfg(feature = "client")]
mod client;
#[cfg(all(unix, feature = "sqlite"))]
mod crash;
#[cfg(feature = "dashboard")]
mod dashboard;
mod doors;
mod durable;
mod early;
mod ending;
mod faults;
mod flaky;
#[cfg(all(unix, feature = "sqlite", feature = "postgres", feature = "redis"))]
mod fleet;
mod health;
mod history;
mod http;
mod idempotency;
mod leases;
mod legacy_tasks;
mod limits;
mod lists;
mod native;
mod principals;
mod progress;
mod project;
mod quotas;
mod raw;
mod raw_http;
mod refusals;
mod replicas;
mod resources;
mod schemas;
mod sharing;
mod shutdown;
mod subscriptions;
mod telemetry;
mod tools;
mod upgrades;
mod waiting;
#[cfg(feature = "webhook")]
mod webhooks;
