//! Which URLs may be called.
//!
//! They are read by the parser of the HTTP client: nobody who connects
//! understands them otherwise.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

use super::address::Networks;

/// Longest URL, in bytes.
const LONGEST: usize = 2048;

/// A host that was allowed by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Below this name, and not it itself.
    below: bool,
    host: HostName,
    /// This port alone; none: the scheme's own.
    port: Option<u16>,
}

impl Pattern {
    /// Reads what an application wrote; or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "the allowed host `{text}` is not a host; write `hooks.example.com`, \
                 `*.example.com` or `hooks.example.com:8443`, in ASCII"
            )
        };
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let uri: Uri = format!("https://{name}/").parse().map_err(|_| wrong())?;
        // Nothing that ends a host in a URL, and no user.
        let is_whole = uri.authority().is_some_and(|authority| authority == name);
        let host = HostName::of(&uri).filter(|host| host.is_plain() && !name.contains('@'));
        match host {
            Some(host) if is_whole && !(below && host.ip().is_some()) => Ok(Self {
                below,
                host,
                port: port(&uri).map_err(|()| wrong())?,
            }),
            _ => Err(wrong()),
        }
    }

    pub(super) fn matches(&self, uri: &Uri) -> bool {
        let Some(host) = HostName::of(uri) else {
            return false;
        };
        let named = if self.below {
            // Something must be left before the dot.
            let left = host.0.strip_suffix(&self.host.0);
            host.ip().is_none() && left.is_some_and(|left| left.len() > 1 && left.ends_with('.'))
        } else {
            host == self.host
        };
        let own = own_port(uri);
        named && uri.port_u16().unwrap_or(own) == self.port.unwrap_or(own)
    }
}

/// The port of a URL without one.
fn own_port(uri: &Uri) -> u16 {
    if uri.scheme_str() == Some("http") {
        80
    } else {
        443
    }
}

/// The port that is written in a URL; an error if that is none.
fn port(uri: &Uri) -> Result<Option<u16>, ()> {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let written = authority.rsplit_once(':').map(|(_, port)| port);
    match written.filter(|port| !port.ends_with(']')) {
        None => Ok(None),
        Some(port) => port.parse().map(Some).map_err(|_| ()),
    }
}

/// A name or address, as names are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostName(String);

impl HostName {
    fn of(uri: &Uri) -> Option<Self> {
        let host = uri.host().filter(|host| !host.is_empty())?;
        let host = Self(host.to_ascii_lowercase());
        // An address has many spellings.
        Some(match host.ip() {
            Some(IpAddr::V6(address)) => Self(format!("[{address}]")),
            _ => host,
        })
    }

    /// The address that it is in place of a name.
    fn ip(&self) -> Option<IpAddr> {
        let bare = self
            .0
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        bare.unwrap_or(&self.0).parse().ok()
    }

    fn is_plain(&self) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        self.ip().is_some() || (self.0.chars().all(is_plain) && !self.0.starts_with('.'))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.below {
            f.write_str("*.")?;
        }
        f.write_str(&self.host.0)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// What holds for all URLs.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) http: bool,
    pub(super) networks: Networks,
}

impl Rules {
    /// Reads a URL, on whatever host; or says which rule it breaks, in words that
    /// go on after "the URL". They do not repeat what was given, which may be a
    /// secret.
    pub(super) fn read(&self, text: &str) -> Result<Uri, String> {
        let must = |must: &str| Err(must.to_owned());
        if text.len() > LONGEST {
            return Err(format!("must be at most {LONGEST} bytes long"));
        }
        // The parser drops it.
        if text.contains('#') {
            return must("must have no fragment (`#…`)");
        }
        let Ok(uri) = text.parse::<Uri>() else {
            return must("must be a URL as in https://hooks.example.com/path, in ASCII");
        };
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if self.http => {}
            _ if self.http => return must("must begin with https:// or http://"),
            _ => return must("must begin with https://"),
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return must("must have no user name and password");
        }
        let Some(host) = HostName::of(&uri).filter(|_| port(&uri).is_ok()) else {
            return must("must have a host, and a port from 1 to 65535 or none");
        };
        // No resolver is asked for an address.
        if host
            .ip()
            .is_some_and(|address| !self.networks.admit(address))
        {
            return must("must not have an address that is not public");
        }
        Ok(uri)
    }
}

/// Host and port of a URL, which is all that may be shown of it.
pub(super) fn place(uri: &Uri) -> String {
    let host = HostName::of(uri).map_or_else(String::new, |host| host.0);
    let port = uri.port_u16().unwrap_or_else(|| own_port(uri));
    format!("{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(http: bool) -> Rules {
        Rules {
            http,
            networks: Networks::default(),
        }
    }

    fn check(patterns: &[&str], http: bool, url: &str) -> Result<String, String> {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|pattern| Pattern::parse(pattern).expect("a pattern"))
            .collect();
        let url = rules(http).read(url)?;
        let found = patterns.iter().any(|pattern| pattern.matches(&url));
        found
            .then(|| url.to_string())
            .ok_or_else(|| "must match".to_owned())
    }

    #[test]
    fn hosts_match_by_name_and_port() {
        let both = [
            "hooks.example.com",
            "*.example.org",
            "a.example:8443",
            "b.example:443",
        ];
        for (url, allowed) in [
            ("https://hooks.example.com/a?b=c", true),
            ("https://HOOKS.Example.com:443", true),
            ("https://hooks.example.com:8443/", false),
            ("https://hooks.example.com./", false),
            ("https://hooks.example.com.evil.example/", false),
            ("https://xhooks.example.com/", false),
            ("https://x.hooks.example.com/", false),
            ("https://example.com/", false),
            ("https://a.example.org/", true),
            ("https://a.b.example.org/", true),
            ("https://example.org/", false),
            ("https://.example.org/", false),
            ("https://notexample.org/", false),
            ("https://a.example:8443/", true),
            ("https://a.example/", false),
            ("https://b.example/", true),
        ] {
            let checked = check(&both, false, url);
            assert_eq!(checked.is_ok(), allowed, "{url}: {checked:?}");
        }
    }

    #[test]
    fn a_name_in_another_spelling_is_the_same() {
        assert!(check(&["1.1.1.1"], false, "https://1.1.1.1/").is_ok());
        assert!(check(&["A.example"], false, "https://a.EXAMPLE/").is_ok());
        assert!(
            check(
                &["[2606:4700:4700::1111]"],
                false,
                "https://[2606:4700:4700:0::1111]/"
            )
            .is_ok()
        );
        assert!(check(&["*.1.1.1"], false, "https://1.1.1.1/").is_err());
    }

    #[test]
    fn each_rule_says_what_would_be_right() {
        let long = format!("https://hooks.example.com/{}", "a".repeat(2048));
        for (url, says) in [
            ("http://hooks.example.com/", "https://"),
            ("ftp://hooks.example.com/", "https://"),
            ("/path", "https://"),
            ("hooks.example.com", "https://"),
            ("", "a URL as in"),
            ("https://", "a URL as in"),
            ("https:///path", "a URL as in"),
            ("https://:443/", "a host"),
            ("https://hooks.example.com:0x1/", "a port"),
            ("https://hooks.example.com:70000/", "a port"),
            ("https://bücher.example/", "ASCII"),
            ("https://a b/", "a URL as in"),
            ("https://me@hooks.example.com/", "user name"),
            ("https://:pass@hooks.example.com/", "user name"),
            ("https://hooks.example.com/#part", "fragment"),
            ("https://127.0.0.1/", "not public"),
            ("https://[::1]/", "not public"),
            ("https://[::ffff:10.0.0.1]/", "not public"),
            ("https://elsewhere.example/", "match"),
            (&long, "2048"),
        ] {
            let error = check(&["hooks.example.com"], false, url).expect_err(url);
            assert!(
                error.starts_with("must ") && error.contains(says),
                "{url}: {error}"
            );
            assert!(!error.contains("elsewhere"), "{error}");
        }
        assert!(check(&["hooks.example.com"], true, "http://hooks.example.com/").is_ok());
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in [
            "",
            "*",
            "*.",
            "a b",
            "https://a.example",
            "a.example/x",
            "a.example:x",
            "*.*.example",
            "me@a.example",
            "*.1.1.1.1",
            "a.example:99999",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        for good in [
            "a.example",
            "*.a.example",
            "a.example:443",
            "1.1.1.1:80",
            "[2606:4700:4700::1111]:443",
        ] {
            assert_eq!(Pattern::parse(good).expect(good).to_string(), good);
        }
    }
}
