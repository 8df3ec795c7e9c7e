//! Whether a server is fit to keep tasks, as far as it says.

use ::redis::RedisResult;

use super::error::{failed, say};
use super::link::Link;
use super::script;
use crate::store::StoreError;

/// What the scripts need.
const OLDEST: (u64, u64) = (6, 2);
/// What has WAITAOF.
const WAITS: (u64, u64) = (7, 2);

/// What is known of a server.
#[derive(Debug)]
pub(super) struct Survey {
    /// Its name and version.
    pub(super) engine: String,
    pub(super) findings: Vec<Finding>,
}

/// Something that is not as it should be.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) weight: Weight,
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// No place for tasks: it is refused.
    Unfit,
    /// To be said aloud at each start.
    Weak,
    /// Often chosen, and documented; for who asks.
    Known,
}

impl Survey {
    fn add(&mut self, weight: Weight, text: impl Into<String>) {
        let text = text.into();
        self.findings.push(Finding { weight, text });
    }
}

/// What is to be said aloud of a server that is fit.
pub(super) async fn check(link: &Link, wait_aof: bool) -> Result<Vec<String>, StoreError> {
    let mut warnings = Vec::new();
    for Finding { weight, text } in survey(link, wait_aof).await?.findings {
        match weight {
            Weight::Unfit => return Err(say(&text)),
            Weight::Weak => warnings.push(text),
            Weight::Known => {}
        }
    }
    Ok(warnings)
}

/// All that can be told without writing anything.
pub(super) async fn survey(link: &Link, wait_aof: bool) -> Result<Survey, StoreError> {
    let server = info(link, "server").await.map_err(failed)?;
    let mut survey = Survey {
        engine: engine(&server),
        findings: Vec::new(),
    };
    check_version(&server, wait_aof, &mut survey);
    check_eviction(link, &mut survey).await;
    check_persistence(link, wait_aof, &mut survey).await;
    check_replication(link, &mut survey).await;
    Ok(survey)
}

/// Whether it is one of a cluster.
pub(super) async fn is_in_cluster(link: &Link) -> bool {
    let cluster = info(link, "cluster").await.unwrap_or_default();
    field(&cluster, "cluster_enabled").is_some_and(|enabled| enabled != "0")
}

fn engine(server: &str) -> String {
    match field(server, "valkey_version") {
        Some(version) => format!("Valkey {version}"),
        None => match field(server, "redis_version") {
            Some(version) => format!("Redis {version}"),
            None => "Redis of an unknown version".to_owned(),
        },
    }
}

fn check_version(server: &str, wait_aof: bool, survey: &mut Survey) {
    // Others call themselves by the version of Redis that they are like.
    let text = field(server, "redis_version").unwrap_or_default();
    match version(text) {
        Some(version) if version < OLDEST => survey.add(
            Weight::Unfit,
            format!("the server is of version {text}; it takes 6.2 at least"),
        ),
        Some(version) if wait_aof && version < WAITS => survey.add(
            Weight::Unfit,
            format!("`wait_aof` needs a server of version 7.2 at least; this one is {text}"),
        ),
        Some(_) => {}
        None => survey.add(
            Weight::Weak,
            "the server does not say of which version it is",
        ),
    }
}

async fn check_eviction(link: &Link, survey: &mut Survey) {
    let memory = info(link, "memory").await.unwrap_or_default();
    let policy = match field(&memory, "maxmemory_policy") {
        Some(policy) => Some(policy.to_owned()),
        None => setting(link, "maxmemory-policy").await,
    };
    match policy.as_deref() {
        Some("noeviction") => {}
        Some(policy) => survey.add(
            Weight::Unfit,
            format!(
                "the server would evict tasks when its memory is full: its `maxmemory-policy` is `{policy}`, and has to be `noeviction`"
            ),
        ),
        None => survey.add(
            Weight::Weak,
            "the server does not say what its `maxmemory-policy` is; it has to be `noeviction`, or tasks may be lost",
        ),
    }
}

async fn check_persistence(link: &Link, wait_aof: bool, survey: &mut Survey) {
    let persistence = info(link, "persistence").await.unwrap_or_default();
    let appends = field(&persistence, "aof_enabled").map(|enabled| enabled != "0");
    if appends == Some(false) && wait_aof {
        survey.add(
            Weight::Unfit,
            "`wait_aof` needs a server with `appendonly yes`",
        );
    }
    if appends == Some(true) {
        check_sync(link, wait_aof, survey).await;
        return;
    }
    match setting(link, "save").await.as_deref() {
        Some("") => survey.add(
            Weight::Weak,
            "the server keeps nothing on its disk (neither `appendonly yes` nor `save`); when it ends, all tasks are gone",
        ),
        Some(_) => survey.add(
            Weight::Known,
            "the server writes snapshots alone: when it crashes, everything since the last one is lost; it should have `appendonly yes`",
        ),
        None => survey.add(
            Weight::Weak,
            "the server does not say whether it keeps anything on its disk; it should have `appendonly yes`",
        ),
    }
}

async fn check_sync(link: &Link, wait_aof: bool, survey: &mut Survey) {
    match setting(link, "appendfsync").await.as_deref() {
        Some("always") => {}
        Some("everysec") if wait_aof => {}
        Some("everysec") => survey.add(
            Weight::Known,
            "a power cut may lose the last second or two: the server has `appendfsync everysec`; `appendfsync always`, or `wait_aof` of the store, prevents that",
        ),
        Some(sync) => survey.add(
            Weight::Known,
            format!(
                "a power cut may lose the last half a minute or more: the server has `appendfsync {sync}`; it should be `everysec` or `always`"
            ),
        ),
        None => survey.add(
            Weight::Known,
            "the server does not say what its `appendfsync` is; with another one than `always` a power cut may lose tasks",
        ),
    }
}

async fn check_replication(link: &Link, survey: &mut Survey) {
    let replication = info(link, "replication").await.unwrap_or_default();
    if field(&replication, "role") == Some("slave") {
        survey.add(
            Weight::Known,
            "the server is a replica, which cannot be written to; the URL should be its master's",
        );
        return;
    }
    let has_replicas = field(&replication, "connected_slaves").is_some_and(|count| count != "0");
    let alone = setting(link, "min-replicas-to-write").await;
    if has_replicas && alone.as_deref() == Some("0") {
        survey.add(
            Weight::Known,
            "the server goes on writing when it has lost its replicas, and a failover forgets that; `min-replicas-to-write` should be 1 at least",
        );
    }
}

async fn info(link: &Link, section: &str) -> RedisResult<String> {
    let answer = link.send(::redis::cmd("INFO").arg(section)).await?;
    ::redis::from_redis_value(answer).map_err(Into::into)
}

/// Some servers let nobody ask.
async fn setting(link: &Link, name: &str) -> Option<String> {
    let answer = link.send(::redis::cmd("CONFIG").arg("GET").arg(name)).await;
    let values = match answer.ok()? {
        ::redis::Value::Map(pairs) => pairs.into_iter().next()?.1,
        ::redis::Value::Array(values) => values.into_iter().nth(1)?,
        _ => return None,
    };
    script::text(values)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| *field == name)
        .map(|(_, value)| value.trim())
}

fn version(text: &str) -> Option<(u64, u64)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        for (text, expected) in [
            ("7.0.15", Some((7, 0))),
            ("6.2.0", Some((6, 2))),
            ("255.255.255", Some((255, 255))),
            ("unstable", None),
            ("", None),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
    }
}
