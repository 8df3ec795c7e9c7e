//! What a URL says.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};

use super::error::{Done, other};

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How long what was sent may be unacknowledged before the connection is given
/// up, where the system can tell.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// When an idle connection is looked after.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Where the server is, and how to reach it. Has the password in it.
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) schema: Option<String>,
    #[cfg_attr(
        not(feature = "postgres-tls"),
        expect(dead_code, reason = "for TLS alone")
    )]
    pub(super) root_certificates: Option<PathBuf>,
}

pub(super) fn parse(url: &str) -> Done<Target> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(unreadable());
    }
    // What comes before the `@` may have question marks.
    let host = url.find('@').unwrap_or(0);
    let (base, query) = match url[host..].find('?') {
        Some(at) => (&url[..host + at], &url[host + at + 1..]),
        None => (url, ""),
    };
    let (mut schema, mut root_certificates) = (None, None);
    let mut left = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("schema", name)) => schema = Some(name.to_owned()),
            Some(("sslrootcert", path)) => root_certificates = Some(PathBuf::from(path)),
            // Certificates are always checked in full.
            Some(("sslmode", "verify-ca" | "verify-full")) => left.push("sslmode=require"),
            _ => left.push(pair),
        }
    }
    let mut url = base.to_owned();
    if !left.is_empty() {
        url.push('?');
        url.push_str(&left.join("&"));
    }
    // The parser's own message may quote a password with a special character.
    let mut config: Config = url.parse().map_err(|_| unreadable())?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(other("the URL has no host"));
    }
    if cfg!(not(feature = "postgres-tls")) && config.get_ssl_mode() == SslMode::Require {
        return Err(other(
            "the URL asks for TLS (`sslmode`), which needs the feature `postgres-tls`",
        ));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED);
    }
    if config.get_target_session_attrs() == TargetSessionAttrs::Any {
        // After a failover, a name may still lead to the server that was
        // demoted.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    if config.get_application_name().is_none() {
        config.application_name("async-tool");
    }
    config
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3);
    Ok(Target {
        config,
        schema,
        root_certificates,
    })
}

/// Says nothing of what is in the URL.
fn unreadable() -> crate::store::StoreError {
    other(
        "the URL cannot be read; it is `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, \
         with special characters percent-encoded",
    )
}

/// A schema's name as SQL has it. Simple names only: it is also the name of the
/// channel on which changes are told.
pub(super) fn quoted(schema: &str) -> Done<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if schema.is_empty()
        || schema.len() > 40
        || !schema.chars().all(plain)
        || schema.starts_with(|c: char| c.is_ascii_digit())
        || schema.to_ascii_lowercase().starts_with("pg_")
    {
        return Err(other(
            "the schema's name must be at most 40 letters, digits and underscores, \
             must not begin with a digit, and not with `pg_`",
        ));
    }
    Ok(format!("\"{schema}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Target {
        parse(url).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_schema_is_taken_off_the_url() {
        let target = parsed("postgres://u:p?w@h:1/d?schema=mine&connect_timeout=3");
        assert_eq!(target.schema.as_deref(), Some("mine"));
        assert_eq!(target.config.get_password(), Some(&b"p?w"[..]));
        assert_eq!(
            target.config.get_connect_timeout(),
            Some(&Duration::from_secs(3))
        );
        assert_eq!(parsed("postgresql://h/d").schema, None);
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        for url in [
            "postgres://user:secret@h:port/d",
            "postgres://user:secret@h/d?se=cret",
            "mysql://user:secret@h",
            "postgres://user:secret@",
        ] {
            let Err(error) = parse(url) else {
                panic!("{url} was read");
            };
            let text = format!("{error} {error:?}");
            assert!(!text.contains("cret"), "{text}");
        }
    }

    #[test]
    #[cfg(not(feature = "postgres-tls"))]
    fn tls_needs_its_feature() {
        for mode in ["require", "verify-full"] {
            let Err(error) = parse(&format!("postgres://h/d?sslmode={mode}")) else {
                panic!("{mode} was accepted");
            };
            assert!(error.to_string().contains("postgres-tls"), "{error}");
        }
    }

    #[test]
    fn schemas_have_simple_names() {
        assert_eq!(quoted("tasks_2").ok().as_deref(), Some("\"tasks_2\""));
        let long = "a".repeat(41);
        for name in ["", "2", "a\"b", "a b", "pg_x", "é", &long] {
            assert!(quoted(name).is_err(), "{name}");
        }
    }
}
