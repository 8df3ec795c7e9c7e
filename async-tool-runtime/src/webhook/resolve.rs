//! From names to addresses that may be connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use super::address::Networks;
use crate::BoxError;

/// Looks up host names; see [`Webhooks::resolver`](super::Webhooks::resolver).
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host. They are checked before anything is connected
    /// to, and nothing else is.
    ///
    /// # Errors
    ///
    /// Whatever kept it from finding any; the message is tried again later.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// As all programs on this machine do.
pub(super) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// What a host name led to.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotResolved {
    #[error("the host has no address")]
    NoAddress,
    #[error("the host's address {0} is not public")]
    NotPublic(IpAddr),
}

/// Lets through what may be connected to. The connection is made to one of the
/// very addresses that were checked: nobody looks them up again.
#[derive(Clone)]
pub(super) struct Checked {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) networks: Networks,
}

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { resolver, networks } = self.clone();
        Box::pin(async move {
            let found = resolver.resolve(name.as_str()).await?;
            if found.is_empty() {
                return Err(NotResolved::NoAddress.into());
            }
            // One bad address spoils all: who mixes them is up to something.
            if let Some(closed) = found.iter().find(|address| !networks.admit(**address)) {
                return Err(NotResolved::NotPublic(*closed).into());
            }
            // The port is the URL's.
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(addresses.collect::<Vec<_>>().into_iter())
        })
    }
}
