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

/// What is to be said aloud of a server that is fit.
pub(super) type Warnings = Vec<&'static str>;

pub(super) async fn check(link: &Link, wait_aof: bool) -> Result<Warnings, StoreError> {
    let mut warnings = Vec::new();
    let server = info(link, "server").await.map_err(failed)?;
    // Others call themselves by the version of Redis that they are like.
    let text = field(&server, "redis_version").unwrap_or_default();
    match version(text) {
        Some(version) if version < OLDEST => {
            return Err(say(&format!(
                "the server is of version {text}; it takes 6.2 at least"
            )));
        }
        Some(version) if wait_aof && version < WAITS => {
            return Err(say(&format!(
                "`wait_aof` needs a server of version 7.2 at least; this one is {text}"
            )));
        }
        Some(_) => {}
        None => warnings.push("the server does not say of which version it is"),
    }
    check_eviction(link, &mut warnings).await?;
    check_persistence(link, wait_aof, &mut warnings).await?;
    Ok(warnings)
}

/// Whether it is one of a cluster.
pub(super) async fn is_in_cluster(link: &Link) -> bool {
    let cluster = info(link, "cluster").await.unwrap_or_default();
    field(&cluster, "cluster_enabled").is_some_and(|enabled| enabled != "0")
}

async fn check_eviction(link: &Link, warnings: &mut Warnings) -> Result<(), StoreError> {
    let memory = info(link, "memory").await.unwrap_or_default();
    let policy = match field(&memory, "maxmemory_policy") {
        Some(policy) => Some(policy.to_owned()),
        None => setting(link, "maxmemory-policy").await,
    };
    match policy.as_deref() {
        Some("noeviction") => {}
        Some(policy) => {
            return Err(say(&format!(
                "the server would evict tasks when its memory is full: its `maxmemory-policy` is `{policy}`, and has to be `noeviction`"
            )));
        }
        None => warnings.push(
            "the server does not say what its `maxmemory-policy` is; it has to be `noeviction`, or tasks may be lost",
        ),
    }
    Ok(())
}

async fn check_persistence(
    link: &Link,
    wait_aof: bool,
    warnings: &mut Warnings,
) -> Result<(), StoreError> {
    let persistence = info(link, "persistence").await.unwrap_or_default();
    let appends = field(&persistence, "aof_enabled").map(|enabled| enabled != "0");
    if appends == Some(false) && wait_aof {
        return Err(say("`wait_aof` needs a server with `appendonly yes`"));
    }
    if appends == Some(true) {
        return Ok(());
    }
    match setting(link, "save").await.as_deref() {
        Some("") => warnings.push(
            "the server keeps nothing on its disk (neither `appendonly yes` nor `save`); when it ends, all tasks are gone",
        ),
        Some(_) => {}
        None => warnings.push(
            "the server does not say whether it keeps anything on its disk; it should have `appendonly yes`",
        ),
    }
    Ok(())
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
