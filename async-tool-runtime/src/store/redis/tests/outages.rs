//! Servers that end and come back, answers that are lost, memory that is full.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::StreamExt;

use super::integrity::check_integrity;
use super::link::Patience;
use super::proxy::Rules;
use super::*;
use crate::store::{Change, End, Outcome};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_the_server() {
    // With `everysec` a server whose disk is slow puts off writing.
    let Some(server) = servers::Redis::start(&["--appendfsync", "always"]) else {
        return;
    };
    let place = Place::on(&server);
    let store = place.store().await;
    let mut changes = place.store().await.changes();
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (store, over) = (Arc::clone(&store), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut kept, mut failed) = (Vec::new(), 0);
                while !over.load(Ordering::Relaxed) {
                    match store.create(task("t"), roomy()).await {
                        Ok(Created::New(record)) => kept.push(record.id),
                        Ok(other) => panic!("{other:?}"),
                        Err(error) => {
                            let text = error.to_string();
                            assert!(text.starts_with("Redis store: "), "{text}");
                            failed += 1;
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                (kept, failed)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let () = place.raw().await.ask(&["SCRIPT", "FLUSH"]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..2 {
        server.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.restart();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    over.store(true, Ordering::Relaxed);
    let (mut kept, mut failed) = (Vec::new(), 0);
    for writer in writers {
        let (some, errors) = writer.await.expect("it ends");
        kept.extend(some);
        failed += errors;
    }
    assert!(kept.len() > 20, "{} were accepted", kept.len());
    assert!(failed > 0, "nobody noticed");
    for id in &kept {
        let found = store.get(*id).await.expect("it works");
        assert!(found.is_some(), "{id} is lost");
    }
    check_integrity(&place).await;

    // Who reads changes is told that some were missed, and then of new ones, as
    // soon as the connection that tells of them is back.
    let heard = async {
        let mut resynced = false;
        while let Some(change) = changes.next().await {
            resynced |= change == Change::Resync;
            if resynced && matches!(change, Change::Cancel(_)) {
                break;
            }
        }
    };
    let asking = async {
        loop {
            let id = claim(store.as_ref(), lease(), "t", 1).await[0].id;
            let asked = store.request_cancel(id, "".into()).await;
            asked.expect("it works");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let both = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::select! { () = heard => {}, () = asking => {} }
    });
    both.await.expect("changes are heard again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_server_fails_soon() {
    let Some(server) = servers::Redis::start(&[]) else {
        return;
    };
    let place = Place::on(&server);
    let store = place.open().await;
    let namespace = store.open("test").await.expect("it opens");
    server.kill();
    let started = Instant::now();
    for _ in 0..3 {
        let error = namespace.get(TaskId::random()).await;
        let error = error.expect_err("there is no server").to_string();
        assert!(error.starts_with("Redis store: the "), "{error}");
    }
    let calls = (0..50).map(|_| namespace.create(task("t"), roomy()));
    for created in futures_util::future::join_all(calls).await {
        created.expect_err("there is no server");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    store.open("other").await.err().expect("there is no server");
    server.restart();
    queued(namespace.as_ref(), task("t")).await;
}

/// Nobody knows what became of a call whose answer is lost: it is not sent
/// again, and when the caller does that, it finds its task.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_sent_once() {
    let Some(server) = servers::redis() else {
        return;
    };
    let mut place = Place::on(server);
    let rules = Arc::new(Rules::default());
    let port = proxy::start(server.port(), &rules);
    place.url = format!("redis://127.0.0.1:{port}");
    let store = place.store().await;
    queued(store.as_ref(), task("t")).await;
    let new = task("t");
    rules.cut.store(true, Ordering::Relaxed);
    let error = store.create(new.clone(), roomy()).await;
    let error = error.expect_err("its answer is lost").to_string();
    assert!(
        error.contains("whether the call was carried out"),
        "{error}"
    );
    match store.create(new.clone(), roomy()).await.expect("it works") {
        Created::Existing(record) => assert_eq!(record.id, new.id),
        other => panic!("{other:?}"),
    }
    let claimed = claim(store.as_ref(), lease(), "t", 10).await;
    assert_eq!(claimed.len(), 2);

    // What was claimed and not told is listed by the next beat.
    let third = queued(store.as_ref(), task("t")).await;
    rules.cut.store(true, Ordering::Relaxed);
    let lease = lease();
    let wants = [Want::new("t".into(), 1)];
    let answer = store.claim(lease, &wants, 1).await;
    answer.expect_err("its answer is lost");
    let owned = store.beat(lease, Vec::new()).await.expect("it works").owned;
    assert_eq!(owned.len(), 1);
    assert_eq!(owned[0].id, third);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_said_and_over_when_it_is() {
    let Some(server) = servers::Redis::start(&[]) else {
        return;
    };
    let place = Place::on(&server);
    let store = place.store().await;
    let mut raw = place.raw().await;
    let id = queued(store.as_ref(), task("t")).await;
    for (wrong, right, said) in [
        (
            ["CONFIG", "SET", "maxmemory", "1"],
            ["CONFIG", "SET", "maxmemory", "0"],
            "memory is full",
        ),
        (
            ["REPLICAOF", "127.0.0.1", "1", ""],
            ["REPLICAOF", "NO", "ONE", ""],
            "replica",
        ),
    ] {
        let words = |words: [&'static str; 4]| -> Vec<&str> {
            words.into_iter().filter(|word| !word.is_empty()).collect()
        };
        let () = raw.ask(&words(wrong)).await;
        let created = store.create(task("t"), roomy()).await;
        let error = created.expect_err("it is refused").to_string();
        assert!(error.contains(said), "{error}");
        let wants = [Want::new("t".into(), 1)];
        let claimed = store.claim(lease(), &wants, 1).await;
        if said == "memory is full" {
            // What frees memory in the end is not refused.
            let task = &claimed.expect("it works")[0];
            let end = End::new(Outcome::Completed("1".into()), 0);
            let ended = store.finish(task.id, task.epoch, end).await;
            assert_eq!(ended.expect("it works"), Ok(()));
            store.reap(10).await.expect("it works");
        } else {
            let error = claimed.expect_err("it is refused").to_string();
            assert!(error.contains(said), "{error}");
        }
        let found = store.get(id).await.expect("reading works");
        assert!(found.is_some());
        let () = raw.ask(&words(right)).await;
        queued(store.as_ref(), task("t")).await;
        check_integrity(&place).await;
    }
    assert_eq!(claim(store.as_ref(), lease(), "t", 9).await.len(), 2);
}

/// Its connections are there, and it does not answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_not_waited_for_long() {
    let Some(server) = servers::Redis::start(&[]) else {
        return;
    };
    let place = Place::on(&server);
    let mut builder = place.builder();
    builder.options.patience = Patience {
        answer: Duration::from_millis(500),
        call: Duration::from_secs(1),
    };
    let store = builder.connect(&place.url).await.expect("it connects");
    let store = store.open("test").await.expect("it opens");
    queued(store.as_ref(), task("t")).await;
    let mut raw = place.raw().await;
    let () = raw.ask(&["CLIENT", "PAUSE", "2500", "ALL"]).await;
    let started = Instant::now();
    for _ in 0..2 {
        let error = store.get(TaskId::random()).await;
        let error = error.expect_err("it does not answer").to_string();
        assert!(error.contains("did not answer in time"), "{error}");
    }
    assert!(started.elapsed() < Duration::from_millis(2400));
    tokio::time::sleep(Duration::from_millis(2600)).await;
    assert_eq!(claim(store.as_ref(), lease(), "t", 9).await.len(), 1);
}
