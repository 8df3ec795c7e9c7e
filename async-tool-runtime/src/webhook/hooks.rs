//! Telling: of a task that something happened to, to everybody who wants to
//! know and does not yet.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, join_all};
use http::Uri;
use tokio::time::{Instant, timeout};

use super::body::body;
use super::delivery::{Deliveries, Outcome, Try};
use super::event::{Event, Events};
use super::places::{Places, Share};
use super::schedule::Schedule;
use super::secret::Signer;
use super::send::{Answer, Request, Transport};
use super::url::{Pattern, Rules, place};
use crate::catalog::Entry;
use crate::engine::{Clock, View};
use crate::task::{TaskRecord, Timestamp};

/// What the caller's URL is called among those who are told.
pub(super) const CALLBACK: &str = "callback";
/// How much longer than a delivery is tried its record stays, so that it can be
/// seen what came of it.
const SHOWN: Duration = Duration::from_secs(60 * 60);
/// Why somebody is not told here who is to be told according to another worker.
const NOT_TOLD: &str = "the worker that tried it has no such endpoint for this event";

/// Webhooks that are ready to be sent.
pub(crate) struct Hooks {
    /// Where callers may want to be told.
    pub(super) callbacks: Vec<(Pattern, Arc<Signer>)>,
    pub(super) events: Events,
    pub(super) endpoints: Vec<Target>,
    pub(super) include_result: bool,
    pub(super) timeout: Duration,
    pub(super) schedule: Schedule,
    pub(super) rules: Rules,
    pub(super) transport: Box<dyn Transport>,
    pub(super) places: Places,
}

/// Somebody who is told.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) name: Arc<str>,
    pub(super) url: Uri,
    pub(super) signer: Arc<Signer>,
    pub(super) events: Events,
    /// The allowed host that a caller's URL is on.
    pub(super) allowed: Option<String>,
}

/// What becomes of a notice.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) state: String,
    /// How long until the next try; none if nobody is left to be told.
    pub(crate) again: Option<Duration>,
    /// What was sent or given up now, for operators.
    pub(crate) tried: Vec<Tried>,
}

/// What came of one message.
#[derive(Debug)]
pub(crate) struct Tried {
    /// Who was told.
    pub(crate) target: Arc<str>,
    pub(crate) event: Event,
    /// How often by now.
    pub(crate) tries: u32,
    pub(crate) outcome: Outcome,
    pub(crate) error: Option<String>,
}

impl Hooks {
    /// Whether callers may give a URL.
    pub(crate) fn take_callbacks(&self) -> bool {
        !self.callbacks.is_empty()
    }

    /// Whether somebody is told of tasks whose callers gave none.
    pub(crate) fn have_endpoints(&self) -> bool {
        !self.endpoints.is_empty()
    }

    /// A caller's URL as it is kept; or what it must be like instead.
    pub(crate) fn callback(&self, url: &str) -> Result<Arc<str>, String> {
        let (url, _) = self.find(url)?;
        Ok(url.to_string().into())
    }

    /// The least retention of a task of which somebody is to be told.
    pub(crate) fn retention(&self) -> Duration {
        self.schedule.give_up_after + SHOWN
    }

    /// How long a worker has for telling a notice before others try.
    pub(crate) fn pause(&self) -> Duration {
        const LEAST: Duration = Duration::from_secs(1);
        (self.timeout * 2).max(LEAST)
    }

    /// Tells of a task everybody who is to be told at this moment of the store's
    /// clock, at most the timeout long. `clock` is that of the signatures.
    pub(crate) async fn tell(
        &self,
        view: &View,
        entry: Option<&Entry>,
        now: Timestamp,
        clock: &Clock,
    ) -> Told {
        let record = &view.record;
        let notice = record.notice.as_ref();
        let mut deliveries = Deliveries::read(notice.and_then(|notice| notice.state.as_deref()));
        let Some((event, since)) = Event::of(record) else {
            // What it asked has been answered. Its end is another notice.
            let state = deliveries.write();
            return Told {
                state,
                again: None,
                tried: Vec::new(),
            };
        };

        let mut targets = self.targets(record, event);
        // Those of another worker's configuration: it may be the newer one.
        let strangers = deliveries.pending();
        let strangers = strangers.filter(|name| targets.iter().all(|(told, _)| told != name));
        let strangers: Vec<_> = strangers.collect();
        targets.extend(
            strangers
                .into_iter()
                .map(|name| (name, Err(NOT_TOLD.to_owned()))),
        );
        let due: Vec<_> = targets
            .into_iter()
            .filter(|(name, _)| deliveries.is_due(name, now))
            .collect();
        let body = match due.is_empty() {
            true => String::new(),
            false => body(event, since, view, entry, self.include_result),
        };
        let number = notice.map_or(0, |notice| notice.number);
        let tries = due.into_iter().map(|(name, target)| {
            let id = format!("msg_{}_{number}_{name}", record.id);
            let body = &body;
            async move {
                let tried = match target {
                    Ok(target) => self.try_safely(&target, &id, body, clock).await,
                    // A worker with other webhooks may be the next one to try.
                    Err(error) => Try::Failed { error, asked: None },
                };
                (name, tried)
            }
        });
        let began = Instant::now();
        let tried = join_all(tries).await;
        let now = now.plus(began.elapsed());
        let mut sent = Vec::new();
        for (target, tried) in tried {
            let was_sent = tried != Try::Busy;
            let delivery = deliveries.keep(&target, tried, &self.schedule, since, now);
            // Also what is given up without having been sent is told to operators.
            if was_sent || delivery.outcome == Outcome::GivenUp {
                sent.push(Tried {
                    target,
                    event,
                    tries: delivery.tries,
                    outcome: delivery.outcome,
                    error: delivery.error.clone(),
                });
            }
        }
        Told {
            again: deliveries.again(now),
            state: deliveries.write(),
            tried: sent,
        }
    }

    /// Everybody who wants to know of an event of this task; or why this worker
    /// must not tell them.
    fn targets(
        &self,
        record: &TaskRecord,
        event: Event,
    ) -> Vec<(Arc<str>, Result<Target, String>)> {
        let origin = record.origin.as_deref();
        let callback = origin.and_then(|origin| origin.callback_url.as_deref());
        let callback = callback.filter(|_| self.events.has(event)).map(|url| {
            // The server that accepted it may have had other rules.
            let target = self
                .find(url)
                .map(|(url, (pattern, signer))| Target {
                    name: CALLBACK.into(),
                    url,
                    signer: Arc::clone(signer),
                    events: self.events,
                    allowed: Some(pattern.to_string()),
                })
                .map_err(|must| format!("refused by the worker that tried it: the URL {must}"));
            (CALLBACK.into(), target)
        });
        let endpoints = self.endpoints.iter();
        let endpoints = endpoints
            .filter(|endpoint| endpoint.events.has(event))
            .map(|endpoint| (Arc::clone(&endpoint.name), Ok(endpoint.clone())));
        callback.into_iter().chain(endpoints).collect()
    }

    fn find(&self, url: &str) -> Result<(Uri, &(Pattern, Arc<Signer>)), String> {
        let url = self.rules.read(url)?;
        let mut callbacks = self.callbacks.iter();
        match callbacks.find(|(pattern, _)| pattern.matches(&url)) {
            Some(allowed) => Ok((url, allowed)),
            None => Err("must be on a host and port that this server allows".to_owned()),
        }
    }

    /// Whoever looks up names is the application's, and must not keep what came of
    /// the others from being kept.
    async fn try_safely(&self, target: &Target, id: &str, body: &str, clock: &Clock) -> Try {
        let trying = AssertUnwindSafe(self.try_once(target, id, body, clock));
        trying.catch_unwind().await.unwrap_or_else(|_| Try::Failed {
            error: "the try panicked".to_owned(),
            asked: None,
        })
    }

    async fn try_once(&self, target: &Target, id: &str, body: &str, clock: &Clock) -> Try {
        let host = place(&target.url);
        let shares = match &target.allowed {
            None => vec![Share::Endpoints(host)],
            Some(allowed) => {
                let allowed = Share::Allowed(allowed.clone());
                vec![Share::Host(host), allowed, Share::Callers]
            }
        };
        let Some(_place) = self.places.take(shares) else {
            return Try::Busy;
        };
        let seconds = i64::try_from(clock.now().0 / 1000).unwrap_or(i64::MAX);
        let request = Request {
            url: &target.url,
            id,
            seconds,
            signature: target.signer.sign(id, seconds, body),
            body,
        };
        // For everything: name, connection, TLS, answer.
        match timeout(self.timeout, self.transport.post(request)).await {
            Ok(Ok(answer)) => judge(answer),
            Ok(Err(error)) => Try::Failed { error, asked: None },
            Err(_) => Try::Failed {
                error: format!("no answer within {:?}", self.timeout),
                asked: None,
            },
        }
    }
}

fn judge(answer: Answer) -> Try {
    match answer.status {
        200..=299 => Try::Delivered,
        410 => Try::Never("HTTP 410: the receiver wants no more".to_owned()),
        status => Try::Failed {
            error: match status {
                300..=399 => format!("HTTP {status}; redirects are not followed"),
                _ => format!("HTTP {status}"),
            },
            asked: answer.retry_after.filter(|_| matches!(status, 429 | 503)),
        },
    }
}

/// URLs may have secrets in them.
impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}
