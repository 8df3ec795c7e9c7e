//! What the benches share: servers, clients, tools.

pub(crate) mod client;
pub(crate) mod http;
pub(crate) mod plain;
pub(crate) mod tools;

/// Whatever went wrong.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
