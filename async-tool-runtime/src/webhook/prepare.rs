//! From what the application said to webhooks that can be sent, or a list of
//! all that is wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::address::Networks;
use super::config::{Endpoint, Webhooks};
use super::event::Events;
use super::hooks::{CALLBACK, Hooks, Target};
use super::places::Places;
use super::resolve::Checked;
use super::schedule::Schedule;
use super::secret::Signer;
use super::send::{Http, Transport};
use super::url::{Pattern, Rules};

/// Most endpoints of a server: each is kept with each task.
const MOST_ENDPOINTS: usize = 16;
const LONGEST_NAME: usize = 32;
const LONGEST_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Beyond, records would never be purged.
const LONGEST_GIVE_UP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Webhooks {
    /// Webhooks that can be sent by HTTP; or one sentence for each thing that is
    /// wrong.
    pub(crate) fn prepare(self) -> Result<Hooks, Vec<String>> {
        let (resolver, plain) = (Arc::clone(&self.resolver), self.http);
        self.prepare_with(|networks| {
            let http = Http::new(Checked { resolver, networks }, plain);
            match http {
                Ok(http) => Ok(Box::new(http)),
                Err(error) => Err(format!("webhooks cannot be sent: {error}")),
            }
        })
    }

    pub(super) fn prepare_with(
        self,
        transport: impl FnOnce(Networks) -> Result<Box<dyn Transport>, String>,
    ) -> Result<Hooks, Vec<String>> {
        let mut problems = self.limits();
        let mut take = |problem| problems.push(problem);

        let mut networks = Vec::new();
        for text in &self.networks {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(_) => take(format!(
                    "the allowed network `{text}` is not a network; write an address, `/` and \
                     the number of its fixed bits, as in `10.1.0.0/16`"
                )),
            }
        }
        let networks = Networks::new(networks);
        let rules = Rules {
            http: self.http,
            networks: networks.clone(),
        };

        // Made once for all who have no secrets of their own, and only then needed.
        let signer = Signer::new(&self.secrets).map(Arc::new);
        let needs_it = self.hosts.iter().any(|host| host.secrets.is_empty())
            || self
                .endpoints
                .iter()
                .any(|endpoint| endpoint.secrets.is_empty());
        if let Err(error) = &signer
            && (needs_it || !self.secrets.is_empty())
        {
            take(format!("`Webhooks` {error}"));
        }
        let signer_of = |secrets: &[String], whose: String| match secrets {
            // Its own error was told.
            [] => Ok(signer.as_ref().ok().cloned()),
            own => match Signer::new(own) {
                Ok(own) => Ok(Some(Arc::new(own))),
                Err(error) => Err(format!("{whose} {error}")),
            },
        };

        let mut callbacks = Vec::new();
        for host in &self.hosts {
            let pattern = Pattern::parse(&host.pattern).map_err(&mut take);
            let whose = format!("the allowed host `{}`", host.pattern);
            let signer = signer_of(&host.secrets, whose).map_err(&mut take);
            if let (Ok(pattern), Ok(Some(signer))) = (pattern, signer) {
                callbacks.push((pattern, signer));
            }
        }
        let mut endpoints: Vec<Target> = Vec::new();
        let mut names = BTreeSet::new();
        for endpoint in &self.endpoints {
            let whose = format!("the endpoint `{}`", endpoint.name);
            if !names.insert(&endpoint.name) {
                take(format!("there are two endpoints `{}`", endpoint.name));
            }
            problems_of(endpoint, &whose)
                .into_iter()
                .for_each(&mut take);
            let url = rules.read(&endpoint.url);
            let url = url.map_err(|must| take(format!("the URL of {whose} {must}")));
            let signer = signer_of(&endpoint.secrets, whose).map_err(&mut take);
            if let (Ok(url), Ok(Some(signer))) = (url, signer) {
                endpoints.push(Target {
                    name: endpoint.name.as_str().into(),
                    url,
                    signer,
                    events: endpoint.events.unwrap_or(self.events),
                    allowed: None,
                });
            }
        }

        let transport = transport(networks).map_err(&mut take);
        match transport {
            Ok(transport) if problems.is_empty() => Ok(Hooks {
                callbacks,
                events: self.events,
                endpoints,
                include_result: self.include_result,
                timeout: self.timeout,
                schedule: Schedule {
                    pauses: self.pauses,
                    give_up_after: self.give_up_after,
                },
                rules,
                transport,
                places: Places::default(),
            }),
            _ => Err(problems),
        }
    }

    /// What is wrong whoever is told.
    fn limits(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.hosts.is_empty() && self.endpoints.is_empty() {
            problems.push(
                "`Webhooks` tell nobody; add `.allow_host(...)` for callers, or `.endpoint(...)`"
                    .to_owned(),
            );
        }
        if self.endpoints.len() > MOST_ENDPOINTS {
            problems.push(format!(
                "there are {} endpoints; {MOST_ENDPOINTS} are the most",
                self.endpoints.len()
            ));
        }
        if self.events.is_empty() {
            problems.push(no_events("`Webhooks`"));
        }
        if self.timeout.is_zero() || self.timeout > LONGEST_TIMEOUT {
            problems.push(format!(
                "the `timeout` of webhooks must be above 0 and at most {LONGEST_TIMEOUT:?}"
            ));
        }
        let is_pause = |pause: &Duration| !pause.is_zero() && *pause <= LONGEST_GIVE_UP;
        if self.pauses.is_empty() || !self.pauses.iter().all(is_pause) {
            problems.push(
                "the `pauses` of webhooks must be some, each above 0 and at most 30 days"
                    .to_owned(),
            );
        }
        if self.give_up_after > LONGEST_GIVE_UP {
            problems.push("webhooks must `give_up_after` 30 days at most".to_owned());
        }
        problems
    }
}

fn problems_of(endpoint: &Endpoint, whose: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let name = &endpoint.name;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) {
        problems.push(format!(
            "{whose} must have a name of 1 to {LONGEST_NAME} letters, digits, `-` and `_`"
        ));
    }
    if name == CALLBACK {
        problems.push(format!(
            "{whose} has the name of callers' URLs; give it another one"
        ));
    }
    if endpoint.events.is_some_and(Events::is_empty) {
        problems.push(no_events(whose));
    }
    problems
}

fn no_events(whose: &str) -> String {
    format!("{whose} is told of no events; name some, or leave `.events(...)` out")
}
