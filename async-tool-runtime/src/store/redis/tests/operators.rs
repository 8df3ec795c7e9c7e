//! Counting what is there, and finding namespaces.

use super::*;
use crate::store::Principal;

/// How many commands the server has carried out since it was asked last, those
/// of scripts included.
async fn commands(raw: &mut Raw) -> u64 {
    let info: String = raw.ask(&["INFO", "commandstats"]).await;
    let () = raw.ask(&["CONFIG", "RESETSTAT"]).await;
    let calls = info.lines().filter_map(|line| {
        let (command, figures) = line.split_once(":calls=")?;
        let (calls, _) = figures.split_once(',')?;
        let ours = !["cmdstat_info", "cmdstat_config|resetstat"].contains(&command);
        ours.then(|| calls.parse::<u64>().expect("a number"))
    });
    calls.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_cost_the_same_however_many_have_ended() {
    let Some(server) = servers::Redis::start(&[]) else {
        return;
    };
    let place = Place::on(&server);
    let store = place.store().await;
    let mut raw = place.raw().await;
    queued(store.as_ref(), task("t")).await;
    queued(store.as_ref(), task("u")).await;
    claim(store.as_ref(), lease(), "u", 1).await;
    let mut costs = Vec::new();
    for records in [2, 402] {
        let stats = store.stats().await.expect("it works");
        assert_eq!(
            (stats.records, stats.queued(), stats.running),
            (records, 1, 1)
        );
        commands(&mut raw).await;
        store.stats().await.expect("it works");
        costs.push(commands(&mut raw).await);
        for _ in 0..400 {
            let id = queued(store.as_ref(), task("u")).await;
            store.request_cancel(id, "".into()).await.expect("it works");
        }
    }
    assert_eq!(costs[0], costs[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_those_of_the_prefix_that_have_tasks() {
    let Some(mut place) = Place::new() else {
        return;
    };
    let mut others = Vec::new();
    let family = place.prefix.to_string();
    for prefix in ["*", "?x", "[x]", "xx", "\\*", ""] {
        place.prefix = format!("{family}{prefix}").into();
        let there = place.open().await;
        let names = ["", "a", &format!("of {prefix}"), "{}"];
        for name in names {
            let namespace = there.open(name).await.expect("it opens");
            // Keys whose own names are like those that are looked for.
            let mut new = task("x}:la");
            new.principal = Some(Principal::new("x}:la"));
            new.retention = Duration::from_millis(1);
            queued(namespace.as_ref(), new).await;
        }
        there.open("empty").await.expect("it opens");
        others.push((there, names.map(str::to_owned)));
    }
    for (there, names) in others {
        let listed = there.namespaces().await.expect("it works");
        assert_eq!(listed, names);
        let gone = there.open("a").await.expect("it opens");
        let id = claim(gone.as_ref(), lease(), "x}:la", 1).await[0].id;
        let end = crate::store::End::new(crate::store::Outcome::Completed("1".into()), 1);
        let finished = gone.finish(id, crate::store::Epoch(1), end).await;
        assert_eq!(finished.expect("it works"), Ok(()));
        loop {
            if !gone.reap(9).await.expect("it works").purged.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let listed = there.namespaces().await.expect("it works");
        assert!(!listed.contains(&"a".to_owned()), "{listed:?}");
        assert_eq!(listed.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_found_among_many_keys() {
    let Some(server) = servers::Redis::start(&[]) else {
        return;
    };
    let place = Place::on(&server);
    let store = place.open().await;
    let mut raw = place.raw().await;
    let filled = "for n = 1, 5000 do redis.call('SET', 'other:' .. n, '') end";
    let () = raw.ask(&["EVAL", filled, "0"]).await;
    let mut names: Vec<String> = (0..30).map(|number| format!("n{number}")).collect();
    for name in &names {
        let namespace = store.open(name).await.expect("it opens");
        queued(namespace.as_ref(), task("t")).await;
    }
    names.sort();
    assert_eq!(store.namespaces().await.expect("it works"), names);
}
