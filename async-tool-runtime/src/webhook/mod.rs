//! Tells others of the end of tasks, and of their questions, by HTTP.
//!
//! ```
//! use async_tool_runtime::AsyncTools;
//! use async_tool_runtime::webhook::{Endpoint, Event, Webhooks};
//!
//! # let secret = || String::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
//! let webhooks = Webhooks::new()
//!     // Signs what is sent; from the configuration of the application.
//!     .secret(secret())
//!     // Callers may give a `callback_url` on this host.
//!     .allow_host("hooks.example.com")
//!     // This one is told of every failure, whoever called.
//!     .endpoint(
//!         Endpoint::new("on-call", "https://alerts.example.com/tasks").events([Event::Failed]),
//!     );
//! let builder = AsyncTools::builder().webhooks(webhooks);
//! ```
//!
//! With an allowed host the initiate tools take a `callback_url`, and native
//! calls one in their `_meta`, as `async-tool/callback_url`. A task keeps the
//! one of the call that made it: a call that replays its key, or shares it by
//! `dedupe`, changes nothing about who is told. The URL is no argument of the
//! tool, and no part of what makes two calls of a key equal.
//!
//! # What is sent
//!
//! A POST as [Standard Webhooks](https://www.standardwebhooks.com) describes it:
//! `webhook-id`, `webhook-timestamp` and `webhook-signature` in the headers,
//! `type`, `timestamp` and `data` in a JSON body. `data` is what the status tool
//! says of the task, with `tool`; with the result only if
//! [`include_result`](Webhooks::include_result) says so. A body has at most
//! 256 KiB: what would be larger goes without its result, and if that is not
//! enough with `task_id`, `tool`, `status` and `done` alone; then `truncated` is
//! true beside `data`.
//!
//! # When
//!
//! That something is to be told is recorded in the same step as the task's end,
//! and is done by any worker of the namespace that has webhooks: at once, and
//! again after pauses that grow, until the receiver answers with 2xx, or 410, or
//! [`give_up_after`](Webhooks::give_up_after) is over. What the rules of one
//! worker forbid is tried again, too: another may have newer ones. Each message is told at
//! least once, and possibly more often, always with the same `webhook-id`. What
//! is no longer so is not told: a question that was answered meanwhile, or an
//! event that a later one has overtaken. The record of such a task stays for
//! at least an hour longer than deliveries are tried, whatever its retention is.
//!
//! # Where to
//!
//! Nowhere that was not allowed by name: see [`Webhooks::allow_host`] for what
//! matches. HTTPS only, unless [`allow_http`](Webhooks::allow_http) says
//! otherwise; no URL with user info or a fragment, none above 2048 bytes;
//! redirects are not followed, proxies of the environment not used. Host names
//! are resolved anew for each try, and the connection goes to one of the
//! addresses that were found; where any of those is not public (loopback,
//! private, link-local, carrier-grade NAT, multicast, documentation, a cloud's
//! metadata service), none is tried, unless
//! [`allow_network`](Webhooks::allow_network) says otherwise.
//!
//! `docs/webhooks.md` in the repository is for those who receive and operate.

mod address;
mod body;
mod config;
mod delivery;
mod event;
mod hooks;
mod places;
mod prepare;
mod resolve;
mod schedule;
mod secret;
mod send;
#[cfg(test)]
mod tests;
mod url;

pub use config::{Endpoint, Host, Webhooks};
pub(crate) use delivery::Outcome;
pub use event::Event;
pub(crate) use hooks::{Hooks, Tried};
pub use resolve::Resolve;
