//! What rmcp does not know of the protocol, added where messages go in and
//! out.
//!
//! rmcp 3.9 has taken the core tasks of 2025-11-25 out, and does not know the
//! `taskIds` of `subscriptions/listen`. So here, between it and the wire,
//!
//! - requests that it would refuse, or read too little of, get another method
//!   ([`inbound`]), under which it hands them to the server's
//!   `on_custom_request` whole; what it reads of a subscription is completed
//!   in the request's `_meta`;
//! - two messages of its own are changed ([`outbound`]): in the answer to
//!   `initialize` a capability is put in its place, and its acknowledgement of
//!   a subscription is left out, since the server sends a better one.
//!
//! What neither concerns passes unread but for a search for a few words. The
//! other methods are nobody else's: a client that names one is told that there
//! is none.
//!
//! [`pipe`] does this for streams of lines, [`http`] for streamable HTTP.

#[cfg(feature = "streamable-http")]
pub(crate) mod http;
pub(crate) mod inbound;
pub(crate) mod outbound;
pub(crate) mod pipe;

/// What the names of all our own methods begin with.
pub(crate) const OWN: &str = "async-tool/";
/// What requests are called, for which rmcp has no place, before their own
/// method.
pub(crate) const LEGACY: &str = "async-tool/2025-11-25/";
/// A `subscriptions/listen` with `taskIds` of a client that does not declare
/// the extension.
pub(crate) const UNDECLARED_LISTEN: &str = "async-tool/undeclared/subscriptions/listen";
/// In `_meta` of a `subscriptions/listen`: the server acknowledges it itself.
/// What stands there are the `taskIds`.
pub(crate) const LISTEN: &str = "async-tool/taskIds";
/// Among the experimental capabilities in an answer to `initialize`: the
/// capability `tasks` of 2025-11-25.
pub(crate) const CAPABILITY: &str = "async-tool/tasks";

/// Alters the messages of one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shim {
    /// The server has tools that are tasks of the protocol's own. Without any,
    /// neither kind of such tasks exists.
    pub(crate) native: bool,
}
