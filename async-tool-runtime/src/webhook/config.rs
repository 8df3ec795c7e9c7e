//! What the application says of its webhooks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::event::{Event, Events};
use super::resolve::{Resolve, SystemResolver};
use super::schedule::STANDARD;

/// To whom tasks are told, and how; see the [module](super).
///
/// Whatever is wrong with it is listed by
/// [`build()`](crate::AsyncToolsBuilder::build).
#[derive(Clone)]
#[must_use]
pub struct Webhooks {
    pub(super) hosts: Vec<Host>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) secrets: Vec<String>,
    pub(super) events: Events,
    pub(super) include_result: bool,
    pub(super) timeout: Duration,
    pub(super) pauses: Vec<Duration>,
    pub(super) give_up_after: Duration,
    pub(super) http: bool,
    pub(super) networks: Vec<String>,
    pub(super) resolver: Arc<dyn Resolve>,
}

impl Webhooks {
    /// Webhooks that are sent nowhere yet.
    #[expect(
        clippy::new_without_default,
        reason = "by itself it is an error, not a sensible default"
    )]
    pub fn new() -> Self {
        Self {
            hosts: Vec::new(),
            endpoints: Vec::new(),
            secrets: Vec::new(),
            events: Events::ALL,
            include_result: false,
            timeout: Duration::from_secs(15),
            pauses: STANDARD.to_vec(),
            give_up_after: Duration::from_secs(24 * 60 * 60),
            http: false,
            networks: Vec::new(),
            resolver: Arc::new(SystemResolver),
        }
    }

    /// Allows callers to give a `callback_url` on this host.
    ///
    /// - `hooks.example.com` is that name and no other, in any letter case; names in
    ///   other scripts are written in ASCII (`xn--…`).
    /// - `*.example.com` is every name that ends in `.example.com`, however deep,
    ///   and not `example.com` itself.
    /// - `192.0.2.1` and `[2001:db8::1]` are an address; it must be public, or
    ///   of an [allowed network](Self::allow_network).
    /// - Each is for the scheme's own port alone (443, and 80 with
    ///   [`allow_http`](Self::allow_http)); `hooks.example.com:8443` is for that
    ///   port alone.
    ///
    /// All hosts are sent what the server's [`secret`](Self::secret) signs, unless
    /// they have their own: who can verify with it can also forge. Hosts that do
    /// not trust each other need a [`Host::secret`] each.
    pub fn allow_host(mut self, host: impl Into<Host>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Adds somebody who is told of all tasks, whoever called. That allows its
    /// host for itself alone, and not for callers.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Sets the secret that signs: `whsec_` and 24 to 64 random bytes in Base64.
    /// To change it, give the old and the new one for as long as receivers need:
    /// both sign then, and either verifies. There are two at most.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Sets of what callbacks are told, and endpoints that do not say so
    /// themselves; of everything unless said otherwise.
    pub fn events(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        self.events = events.into_iter().collect();
        self
    }

    /// Sets whether the results of completed tasks are sent, too; not unless
    /// said otherwise, since they may be secret.
    pub fn include_result(mut self, include: bool) -> Self {
        self.include_result = include;
        self
    }

    /// Sets how long a receiver may take to answer, from the look-up of its name
    /// on; 15 seconds unless said otherwise, and 5 minutes at most.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the pauses between the tries, the last one for all that follow; 5
    /// seconds, 5 minutes, 30 minutes, 2, 5, 10, 14, 20 and 24 hours unless said
    /// otherwise, as Standard Webhooks recommends; each is 30 days at most. Up to a
    /// fifth is added to each by chance. A `Retry-After` in seconds (429 and 503)
    /// lengthens a pause to an hour at most.
    pub fn pauses(mut self, pauses: impl IntoIterator<Item = Duration>) -> Self {
        self.pauses = pauses.into_iter().collect();
        self
    }

    /// Sets for how long a message is tried, counted from what it tells of; 24
    /// hours unless said otherwise. The last try is at the end of that time, and what
    /// still waits then for a busy host is given up, too.
    ///
    /// Tasks of which somebody is to be told stay readable an hour longer than
    /// this, if their retention is shorter.
    pub fn give_up_after(mut self, duration: Duration) -> Self {
        self.give_up_after = duration;
        self
    }

    /// Allows URLs of plain HTTP: for networks that nobody else listens to.
    pub fn allow_http(mut self) -> Self {
        self.http = true;
        self
    }

    /// Allows addresses of a network that are not public, as in `10.1.0.0/16` or
    /// `127.0.0.1/32`: for receivers inside. Each link-local address, and each of the
    /// known metadata services of clouds (`docs/webhooks.md` lists them), is allowed
    /// only by itself (`169.254.169.254/32`).
    pub fn allow_network(mut self, network: impl Into<String>) -> Self {
        self.networks.push(network.into());
        self
    }

    /// Sets who looks up host names; the system unless said otherwise.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }
}

/// A host on which callers may give a `callback_url`; see
/// [`Webhooks::allow_host`].
#[derive(Clone)]
#[must_use]
pub struct Host {
    pub(super) pattern: String,
    pub(super) secrets: Vec<String>,
}

impl Host {
    /// A host that is sent what the server's secret signs.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            secrets: Vec::new(),
        }
    }

    /// Sets a secret of its own, as [`Webhooks::secret`] does.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }
}

impl From<&str> for Host {
    fn from(pattern: &str) -> Self {
        Self::new(pattern)
    }
}

impl From<String> for Host {
    fn from(pattern: String) -> Self {
        Self::new(pattern)
    }
}

/// Somebody who is told of all tasks; see [`Webhooks::endpoint`].
#[derive(Clone)]
#[must_use]
pub struct Endpoint {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) secrets: Vec<String>,
    pub(super) events: Option<Events>,
}

impl Endpoint {
    /// An endpoint. Its name is 1 to 32 letters, digits, `-` and `_`, and is part
    /// of what is kept of deliveries and of the `webhook-id`: one that is renamed
    /// is another one.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            secrets: Vec::new(),
            events: None,
        }
    }

    /// Sets a secret of its own, as [`Webhooks::secret`] does.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Sets of what it is told.
    pub fn events(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        self.events = Some(events.into_iter().collect());
        self
    }
}

// URLs may have secrets in them.

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("hosts", &self.hosts)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.pattern).finish()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.name).finish()
    }
}
