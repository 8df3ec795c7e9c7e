//! Which servers are taken, and what is said about the others.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use super::address::locate;
use super::check::check;
use super::link::{Link, Patience};
use super::proxy::Rules;
use super::*;
use crate::store::{Owned, Question};

async fn refused(url: &str) -> String {
    let error = RedisStore::connect(url).await.expect_err("it is refused");
    whole(&error)
}

/// All that an error says, its causes and `Debug` included.
fn whole(error: &StoreError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(" {error} {error:?}"));
        cause = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_is_refused() {
    let Some(server) = servers::Redis::start(&["--maxmemory-policy", "allkeys-lru"]) else {
        return;
    };
    let error = refused(&server.url()).await;
    assert!(error.contains("`allkeys-lru`"), "{error}");
    assert!(error.contains("noeviction"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_nothing_is_warned_about() {
    let Some(server) = servers::Redis::start(&["--appendonly", "no"]) else {
        return;
    };
    let place = Place::on(&server);
    let warnings = async || {
        let link = Link::new(locate(&place.url).expect("a URL"), Patience::default());
        check(&link, false).await.expect("it is fit")
    };
    let found = warnings().await;
    assert!(found[0].contains("keeps nothing on its disk"), "{found:?}");
    let mut raw = place.raw().await;
    let () = raw.ask(&["CONFIG", "SET", "save", "60 1"]).await;
    assert_eq!(warnings().await, [""; 0]);
    let () = raw.ask(&["CONFIG", "SET", "save", ""]).await;
    let () = raw.ask(&["CONFIG", "SET", "appendonly", "yes"]).await;
    assert_eq!(warnings().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_tell_is_warned_about() {
    let Some(server) = servers::redis() else {
        return;
    };
    let mut raw = Place::on(server).raw().await;
    let acl = [
        "ACL",
        "SETUSER",
        "mute",
        "on",
        "nopass",
        "~*",
        "&*",
        "+@all",
        "-config",
        "-info",
        "+info|server",
    ];
    let () = raw.ask(&acl).await;
    let url = server.url().replace("//", "//mute:any@");
    let link = Link::new(locate(&url).expect("a URL"), Patience::default());
    let warnings = check(&link, false).await.expect("it is fit");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let () = raw.ask(&["ACL", "DELUSER", "mute"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_weakens_the_guarantees_is_told_to_who_asks() {
    let Some(server) = servers::Redis::start(&["--appendfsync", "always"]) else {
        return;
    };
    let Some(replica) = servers::Redis::start(&["--appendfsync", "always"]) else {
        return;
    };
    let inspect = async |server: &servers::Redis| {
        let inspection = RedisStore::inspect(&server.url()).await;
        inspection.expect("it can be asked")
    };
    let mut raw = Place::on(&server).raw().await;
    let found = inspect(&server).await;
    assert_eq!((found.schema, found.known_schema), (None, None));
    assert_eq!(found.warnings, [""; 0]);
    let (engine, version) = found.engine.split_once(' ').expect("a name and a version");
    assert!(["Redis", "Valkey"].contains(&engine), "{found:?}");
    let info: String = raw.ask(&["INFO", "server"]).await;
    assert!(
        info.contains(&format!("_version:{version}\r\n")),
        "{found:?}"
    );

    for (setting, value, usual, part) in [
        ("appendfsync", "everysec", "always", "last second"),
        ("appendfsync", "no", "always", "half a minute"),
        (
            "maxmemory-policy",
            "volatile-ttl",
            "noeviction",
            "`volatile-ttl`",
        ),
    ] {
        let () = raw.ask(&["CONFIG", "SET", setting, value]).await;
        let found = inspect(&server).await.warnings;
        assert!(found.len() == 1 && found[0].contains(part), "{found:?}");
        let () = raw.ask(&["CONFIG", "SET", setting, usual]).await;
    }
    let () = raw.ask(&["CONFIG", "SET", "appendonly", "no"]).await;
    for (save, part) in [("", "keeps nothing"), ("60 1", "snapshots alone")] {
        let () = raw.ask(&["CONFIG", "SET", "save", save]).await;
        let found = inspect(&server).await.warnings;
        assert!(found.len() == 1 && found[0].contains(part), "{found:?}");
    }
    let () = raw.ask(&["CONFIG", "SET", "appendonly", "yes"]).await;
    let written: usize = raw.ask(&["DBSIZE"]).await;
    assert_eq!(written, 0);

    let port = server.port().to_string();
    let mut follower = Place::on(&replica).raw().await;
    let () = follower.ask(&["REPLICAOF", "127.0.0.1", &port]).await;
    let found = inspect(&replica).await.warnings;
    assert!(
        found.len() == 1 && found[0].contains("is a replica"),
        "{found:?}"
    );
    let found = loop {
        let found = inspect(&server).await.warnings;
        if !found.is_empty() {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(
        found.len() == 1 && found[0].contains("`min-replicas-to-write`"),
        "{found:?}"
    );
    let () = raw
        .ask(&["CONFIG", "SET", "min-replicas-to-write", "1"])
        .await;
    assert_eq!(inspect(&server).await.warnings, [""; 0]);

    let error = RedisStore::inspect("redis://somebody:hocus-pocus@127.0.0.1:1").await;
    let error = whole(&error.expect_err("there is no server"));
    assert!(error.contains("cannot be reached"), "{error}");
    assert!(!error.contains("hocus-pocus"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_the_disk_needs_a_server_that_can() {
    let Some(place) = Place::new() else {
        return;
    };
    let info: String = place.raw().await.ask(&["INFO", "server"]).await;
    let connected = place.builder().wait_aof(true).connect(&place.url).await;
    if info.contains("redis_version:7.0.") {
        let error = connected.expect_err("it is refused").to_string();
        assert!(error.contains("7.2") && error.contains("7.0."), "{error}");
    } else {
        connected.expect("it connects");
    }
}

/// The server's WAITAOF is one of the test's, since it may have none.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_durable_waits_for_the_disk() {
    const WAITAOF: &[u8] = b"*4\r\n$7\r\nWAITAOF\r\n$1\r\n1\r\n$1\r\n0\r\n$5\r\n20000\r\n";
    const SYNCED: &[u8] = b"*3\r\n$4\r\nEVAL\r\n$12\r\nreturn {1,0}\r\n$1\r\n0\r\n";
    const LATE: &[u8] = b"*3\r\n$4\r\nEVAL\r\n$12\r\nreturn {0,0}\r\n$1\r\n0\r\n";
    let Some(server) = servers::redis() else {
        return;
    };
    for (answer, expected) in [(SYNCED, None), (LATE, Some("did not confirm"))] {
        let rules = Arc::new(Rules {
            asked: vec![(WAITAOF, answer)],
            answered: vec![(b"redis_version:7.0.", b"redis_version:7.2.")],
            ..Rules::default()
        });
        let mut place = Place::on(server);
        let port = proxy::start(server.port(), &rules);
        place.url = format!("redis://127.0.0.1:{port}");
        let builder = place.builder().wait_aof(true);
        let store = builder.connect(&place.url).await.expect("it connects");
        let store = store.open("test").await.expect("it opens");
        let calls = (0..20).map(|_| store.create(task("t"), roomy()));
        for created in futures_util::future::join_all(calls).await {
            let error = created.err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(error, None),
                Some(part) => assert!(error.is_some_and(|error| error.contains(part))),
            }
        }
        let lease = lease();
        let found = store.claim(lease, &[Want::new("t".into(), 1)], 1).await;
        assert_eq!(found.is_ok(), expected.is_none());
        // What need not be durable does not wait.
        let beat = store.beat(lease, Vec::new()).await.expect("it works");
        let [Owned { id, epoch, .. }] = beat.owned[..] else {
            panic!("{beat:?}");
        };
        let question = Question::new("q", "sure?", "true", epoch);
        let asked = store.ask(id, epoch, vec![question], 0).await;
        assert_eq!(asked.is_ok(), expected.is_none());
        // So does the second one, who is told of the first.
        for _ in 0..2 {
            let answered = store.answer(id, "q", "1".into()).await;
            assert_eq!(answered.is_ok(), expected.is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_told_to_nobody() {
    const SECRET: &str = "open-sesame";
    let Some(server) = servers::Redis::start(&["--requirepass", SECRET]) else {
        return;
    };
    let url =
        |user: &str, password: &str, port| format!("redis://{user}:{password}@127.0.0.1:{port}");
    let wrong = refused(&url("", "hocus-pocus", server.port())).await;
    assert!(wrong.contains("user name or the password"), "{wrong}");
    let missing = refused(&server.url()).await;
    assert!(missing.contains("user name or the password"), "{missing}");
    let unreachable = refused(&url("somebody", "hocus-pocus", 1)).await;
    assert!(unreachable.contains("cannot be reached"), "{unreachable}");
    let no_port = refused("redis://somebody:hocus-pocus@host:port").await;
    let no_scheme = refused("redi://somebody:hocus-pocus@host").await;
    let no_tls = refused("rediss://somebody:hocus-pocus@127.0.0.1:1").await;
    let store = RedisStore::connect(&url("", SECRET, server.port())).await;
    let shown = format!("{:?}", store.expect("it connects"));
    for text in [
        wrong,
        missing,
        unreachable,
        no_port,
        no_scheme,
        no_tls,
        shown,
    ] {
        for secret in ["hocus-pocus", "somebody", SECRET] {
            assert!(!text.contains(secret), "{secret} is in: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_not_waited_for_long() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let started = Instant::now();
    let error = refused(&format!("redis://127.0.0.1:{port}")).await;
    assert!(
        error.contains("in time") || error.contains("reached"),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(8), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_has_no_braces() {
    let builder = RedisStore::builder().key_prefix("a{b}");
    let error = builder.connect("redis://127.0.0.1:1").await;
    let error = error.expect_err("it is refused").to_string();
    assert!(error.contains("braces"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_names_it() {
    let Some(server) = servers::redis() else {
        return;
    };
    let store = crate::store::from_url(&server.url()).await;
    store.expect("it connects");
    let error = crate::store::from_url("redis://127.0.0.1:1").await.err();
    let error = error.expect("there is no server").to_string();
    assert!(error.starts_with("Redis store: "), "{error}");
    let error = crate::store::from_url("mongodb:").await.err();
    let error = error.expect("it is unknown").to_string();
    assert!(error.contains("`redis://HOST:PORT`"), "{error}");
}
