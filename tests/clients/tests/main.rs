//! What others make of a server that is built with async-tool: MCP's
//! conformance suite, the SDKs' clients, FastMCP's, the Inspector's command
//! line, and the parser of Prometheus' own library.
//!
//! They are installed from their registries, at the versions of
//! `package-lock.json` and `requirements.txt`, if `ASYNC_TOOL_CLIENTS=1`.
#![cfg(unix)]

mod browser;
mod conformance;
mod fixture;
mod inspector;
mod install;
mod metrics;
mod process;
mod sdks;
