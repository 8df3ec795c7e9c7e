//! Where the server is, and who we are.

use ::redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use super::error::say;
use crate::store::StoreError;

/// What a URL says. The driver's errors are not quoted: there may be a password
/// in the URL.
pub(super) fn locate(url: &str) -> Result<Client, StoreError> {
    let unusable = |_| say("the URL is not one of a Redis server");
    check_scheme(url)?;
    let info: ConnectionInfo = url.into_connection_info().map_err(unusable)?;
    // A server then says when it closes a connection, so that the next call
    // finds a new one.
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
    Client::open(info).map_err(unusable)
}

fn check_scheme(url: &str) -> Result<(), StoreError> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "redis" | "valkey" | "unix" | "redis+unix" | "valkey+unix" => Ok(()),
        "rediss" | "valkeys" => check_tls(),
        _ => Err(say(
            "the URL is to begin with `redis://` or `rediss://`, as in `redis://localhost:6379`",
        )),
    }
}

#[cfg(feature = "redis-tls")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn check_tls() -> Result<(), StoreError> {
    // The driver takes the cryptography of the process. Where somebody has
    // chosen another one, that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(())
}

#[cfg(not(feature = "redis-tls"))]
fn check_tls() -> Result<(), StoreError> {
    Err(say(
        "a `rediss:` URL needs TLS, and this program was built without the feature `redis-tls`",
    ))
}
