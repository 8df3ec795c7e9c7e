//! Looking through the keys of a server, or of all masters of a cluster.

use std::collections::HashSet;

use ::redis::{Cmd, RedisResult, Value};

use super::{Link, Server};

/// How many keys a server looks at before it serves others.
const PAGE: usize = 1000;

impl Link {
    /// The keys like this pattern. One that is there all the time is found.
    pub(in super::super) async fn scan(&self, pattern: &str) -> RedisResult<HashSet<String>> {
        let mut found = HashSet::new();
        let mut pages = self.first_pages(&page(pattern, "0")).await?;
        while let Some((server, answer)) = pages.pop() {
            let (cursor, keys): (String, Vec<Vec<u8>>) = ::redis::from_redis_value(answer)?;
            // What is no text is no key of ours.
            found.extend(
                keys.into_iter()
                    .filter_map(|key| String::from_utf8(key).ok()),
            );
            if cursor != "0" {
                let next = self.send_to(&server, &page(pattern, &cursor)).await?;
                pages.push((server, next));
            }
        }
        Ok(found)
    }

    async fn first_pages(&self, page: &Cmd) -> RedisResult<Vec<(Server, Value)>> {
        #[cfg(feature = "redis-cluster")]
        if self.cluster.is_some() {
            let answer = self.send_to(&Server::EachMaster, page).await?;
            let answers: Vec<(String, Value)> = ::redis::from_redis_value(answer)?;
            let answers = answers.into_iter().filter_map(|(address, answer)| {
                let (host, port) = address.rsplit_once(':')?;
                let server = Server::Master {
                    host: host.to_owned(),
                    port: port.parse().ok()?,
                };
                Some((server, answer))
            });
            return Ok(answers.collect());
        }
        Ok(vec![(Server::OfItsKeys, self.send(page).await?)])
    }
}

fn page(pattern: &str, cursor: &str) -> Cmd {
    let mut page = ::redis::cmd("SCAN");
    page.arg(cursor)
        .arg("MATCH")
        .arg(pattern)
        .arg("COUNT")
        .arg(PAGE);
    page
}
