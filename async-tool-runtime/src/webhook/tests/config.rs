//! What `build()` says of bad webhooks.

use super::*;

async fn problems(webhooks: Webhooks) -> Vec<String> {
    let builder = AsyncTools::builder().registry(Registry::new().with(SleepTool));
    match builder.webhooks(webhooks).build().await {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    }
}

fn endpoint(name: &str, url: &str) -> Webhooks {
    webhooks().endpoint(Endpoint::new(name, url))
}

#[tokio::test]
async fn good_ones_build() {
    let all = webhooks()
        .secret(OTHER_SECRET)
        .allow_host("hooks.example.com")
        .allow_host(Host::new("*.example.org:8443").secret(OTHER_SECRET))
        .endpoint(Endpoint::new("ops", "https://ops.example.com/").events([Event::Failed]))
        .endpoint(Endpoint::new("in", "http://10.1.2.3:8080/x").secret(SECRET))
        .allow_http()
        .allow_network("10.1.0.0/16")
        .events([Event::Completed])
        .timeout(Duration::from_secs(1))
        .pauses([Duration::from_secs(1)])
        .give_up_after(Duration::ZERO);
    assert_eq!(problems(all).await, [""; 0]);
    let own = Webhooks::new().allow_host(Host::new("hooks.example.com").secret(SECRET));
    assert_eq!(problems(own).await, [""; 0]);
}

#[tokio::test]
async fn each_mistake_is_named() {
    let host = || webhooks().allow_host("hooks.example.com");
    for (webhooks, says) in [
        (webhooks(), "tell nobody"),
        (Webhooks::new().allow_host("a.example"), "no secret"),
        (
            Webhooks::new().endpoint(Endpoint::new("ops", "https://a.example/")),
            "no secret",
        ),
        (host().secret("whsec_abcd"), "24 to 64 bytes"),
        (host().secret(SECRET).secret(SECRET), "3 secrets"),
        (
            Webhooks::new().allow_host(Host::new("a.example").secret("bad")),
            "host `a.example` has a secret that is not",
        ),
        (
            webhooks().allow_host("https://a.example"),
            "`https://a.example` is not a host",
        ),
        (webhooks().allow_host("*"), "`*` is not a host"),
        (
            host().allow_network("10.0.0.0"),
            "`10.0.0.0` is not a network",
        ),
        (
            endpoint("ops", "nowhere"),
            "the endpoint `ops` must begin with https://",
        ),
        (
            endpoint("ops", "http://a.example/"),
            "must begin with https://",
        ),
        (endpoint("ops", "https://me:pw@a.example/"), "no user name"),
        (endpoint("ops", "https://10.1.2.3/"), "not public"),
        (endpoint("", "https://a.example/"), "1 to 32 letters"),
        (endpoint("a.b", "https://a.example/"), "1 to 32 letters"),
        (endpoint("callback", "https://a.example/"), "callers' URLs"),
        (
            one_endpoint().endpoint(Endpoint::new("ops", "https://a.example/")),
            "two endpoints `ops`",
        ),
        (host().events([]), "`Webhooks` is told of no events"),
        (
            webhooks().endpoint(Endpoint::new("ops", "https://a.example/").events([])),
            "`ops` is told of no events",
        ),
        (host().timeout(Duration::ZERO), "`timeout`"),
        (host().timeout(HOUR), "`timeout`"),
        (host().pauses([]), "`pauses`"),
        (host().pauses([MINUTE, Duration::ZERO]), "`pauses`"),
        (host().pauses([Duration::MAX]), "at most 30 days"),
        (host().give_up_after(DAY * 31), "30 days"),
        (
            (0..17).fold(webhooks(), |webhooks, number| {
                webhooks.endpoint(Endpoint::new(number.to_string(), "https://a.example/"))
            }),
            "17 endpoints",
        ),
    ] {
        let problems = problems(webhooks).await;
        assert_eq!(problems.len(), 1, "{says}: {problems:?}");
        assert!(problems[0].contains(says), "{says}: {problems:?}");
        assert!(!problems[0].contains("pw"), "{problems:?}");
    }
}

#[tokio::test]
async fn all_mistakes_are_named_at_once() {
    let bad = Webhooks::new()
        .allow_host("*")
        .endpoint(Endpoint::new("ops", "http://a.example/"))
        .timeout(Duration::ZERO);
    assert_eq!(problems(bad).await.len(), 4);
}

#[test]
fn nothing_secret_is_shown() {
    let webhooks = webhooks()
        .allow_host(Host::new("hooks.example.com").secret(OTHER_SECRET))
        .endpoint(Endpoint::new("ops", "https://ops.example.com/secret-path"));
    let shown = format!("{webhooks:?}");
    assert!(
        shown.contains("hooks.example.com") && shown.contains("ops"),
        "{shown}"
    );
    assert!(
        !shown.contains("whsec") && !shown.contains("secret-path"),
        "{shown}"
    );
}
