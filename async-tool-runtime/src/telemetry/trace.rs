//! The trace to which a call belongs: [W3C Trace Context].
//!
//! [W3C Trace Context]: https://www.w3.org/TR/trace-context/

use std::fmt;
use std::sync::Arc;

use crate::task::Origin;

/// Longest `traceparent` that is read, in bytes. Version 00 has 55; later ones
/// may have more.
const MAX_PARENT: usize = 256;
/// Longest `tracestate` that is kept, in bytes: what everybody must pass on.
const MAX_STATE: usize = 512;
/// Most entries of a `tracestate`.
const MAX_ENTRIES: usize = 32;
/// Length of a `traceparent` of version 00.
const PARENT: usize = 55;

/// The place of a task in the trace of its caller, to be passed on with requests
/// that the task makes; see
/// [`TaskContext::trace_context`](crate::TaskContext::trace_context).
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// Of version 00.
    parent: Arc<str>,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// The value of the header `traceparent`.
    pub fn traceparent(&self) -> &str {
        &self.parent
    }

    /// The value of the header `tracestate`, if there is one.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The id of the trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.part(3..35)
    }

    /// Names and values of the headers that pass it on.
    ///
    /// ```
    /// # fn send(task: &async_tool_runtime::TaskContext, request: &mut Vec<(&'static str, String)>) {
    /// let trace = task.trace_context();
    /// for (name, value) in trace.iter().flat_map(|trace| trace.headers()) {
    ///     request.push((name, value.to_owned()));
    /// }
    /// # }
    /// ```
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let state = self.tracestate().map(|state| ("tracestate", state));
        [("traceparent", self.traceparent())]
            .into_iter()
            .chain(state)
    }

    /// Reads what a caller sent. A `traceparent` that is not as the standard says
    /// is none, and a `tracestate` likewise: it says nothing of its trace then.
    pub(crate) fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        Some(Self {
            parent: normal(parent)?.into(),
            state: state.filter(|state| is_state(state)).map(Arc::from),
        })
    }

    /// What a task keeps of it.
    pub(crate) fn leave_in(&self, origin: &mut Origin) {
        origin.traceparent = Some(Arc::clone(&self.parent));
        origin.tracestate = self.state.clone();
    }

    /// What a task has kept; another version of this crate may have written it.
    pub(crate) fn of(origin: &Origin) -> Option<Self> {
        Self::read(origin.traceparent.as_deref()?, origin.tracestate.as_deref())
    }

    #[cfg(feature = "opentelemetry")]
    pub(super) fn span_id(&self) -> &str {
        self.part(36..52)
    }

    #[cfg(feature = "opentelemetry")]
    pub(super) fn flags(&self) -> &str {
        self.part(53..55)
    }

    fn part(&self, range: std::ops::Range<usize>) -> &str {
        // ASCII of this length.
        self.parent.get(range).unwrap_or_default()
    }
}

/// A `tracestate` is for tracing systems, and may be anything.
impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceContext")
            .field("traceparent", &self.parent)
            .finish_non_exhaustive()
    }
}

/// A `traceparent` as version 00 has it, flags that it does not know left out.
fn normal(parent: &str) -> Option<String> {
    let (known, rest) = parent.split_at_checked(PARENT)?;
    let mut fields = known.split('-');
    let [version, trace, span, flags] = [2, 32, 16, 2].map(|digits| {
        let field = fields.next()?;
        (field.len() == digits && field.bytes().all(is_digit)).then_some(field)
    });
    let (version, trace, span, flags) = (version?, trace?, span?, flags?);
    // Later versions may append fields, and none is ff.
    let rest_fits = match version {
        "00" => rest.is_empty(),
        "ff" => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let is_zero = |field: &str| field.bytes().all(|digit| digit == b'0');
    if fields.next().is_some() || !rest_fits || parent.len() > MAX_PARENT {
        return None;
    }
    if is_zero(trace) || is_zero(span) {
        return None;
    }
    const SAMPLED: u8 = 1;
    let flags = u8::from_str_radix(flags, 16).ok()? & SAMPLED;
    Some(format!("00-{trace}-{span}-{flags:02x}"))
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// Whether this is a list of `key=value` as the standard has it.
fn is_state(state: &str) -> bool {
    let mut entries = state
        .split(',')
        .map(|entry| entry.trim_matches([' ', '\t']))
        .filter(|entry| !entry.is_empty())
        .peekable();
    state.len() <= MAX_STATE
        && entries.peek().is_some()
        && entries.clone().count() <= MAX_ENTRIES
        && entries.all(|entry| {
            entry
                .split_once('=')
                .is_some_and(|(key, value)| is_key(key) && is_value(value))
        })
}

/// `vendor` or `tenant@vendor`.
fn is_key(key: &str) -> bool {
    let fits = |part: &str, longest: usize, first: fn(&u8) -> bool| {
        let rest = |byte: u8| first(&byte) || byte.is_ascii_digit() || b"_-*/".contains(&byte);
        part.len() <= longest
            && part.as_bytes().first().is_some_and(first)
            && part.bytes().all(rest)
    };
    match key.split_once('@') {
        None => fits(key, 256, u8::is_ascii_lowercase),
        Some((tenant, vendor)) => {
            let first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            fits(tenant, 241, first) && fits(vendor, 14, u8::is_ascii_lowercase)
        }
    }
}

fn is_value(value: &str) -> bool {
    // Blanks at its end are cut off before.
    (1..=256).contains(&value.len())
        && value
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && !b",=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(parent: &str, state: Option<&str>) -> Option<TraceContext> {
        TraceContext::read(parent, state)
    }

    #[test]
    fn a_trace_context_is_read_and_passed_on() {
        let trace = read(PARENT, Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")).expect("valid");
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let headers: Vec<_> = trace.headers().collect();
        assert_eq!(
            headers,
            [
                ("traceparent", PARENT),
                ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
            ]
        );
        let mut origin = Origin::new();
        trace.leave_in(&mut origin);
        assert_eq!(TraceContext::of(&origin), Some(trace));
    }

    #[test]
    fn what_a_later_version_appends_is_left_out() {
        let later = PARENT.replacen("00", "cc", 1);
        for appended in ["", "-what-ever"] {
            let trace = read(&format!("{later}{appended}"), None).expect("valid");
            assert_eq!(trace.traceparent(), PARENT);
        }
        let unknown_flags = PARENT.replace("-01", "-ff");
        assert_eq!(
            read(&unknown_flags, None).expect("valid").traceparent(),
            PARENT
        );
    }

    #[test]
    fn a_malformed_traceparent_is_none() {
        let long = format!("01{}-{}", &PARENT[2..], "x".repeat(MAX_PARENT));
        for malformed in [
            "",
            "00",
            &PARENT[..54],
            &format!("{PARENT}-"),
            &format!("{PARENT}0"),
            &format!(" {PARENT}"),
            &PARENT.to_uppercase(),
            &PARENT.replacen("00", "ff", 1),
            &PARENT.replacen("00", "01", 1).replace("-01", "-01x"),
            &PARENT.replace('4', "g"),
            &PARENT.replace("-00f067aa0ba902b7", "-0000000000000000"),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replace("4736-00", "47360-0"),
            &PARENT.replace('b', "é"),
            &"é".repeat(28),
            &long,
        ] {
            assert_eq!(read(malformed, None), None, "{malformed}");
        }
    }

    #[test]
    fn a_malformed_tracestate_is_left_out() {
        let many: Vec<String> = (0..33).map(|number| format!("k{number}=v")).collect();
        for (state, kept) in [
            ("a=1, b=2 ,,\tc=3", true),
            ("tenant0@vendor=x y", true),
            ("1tenant@vendor=x", true),
            (&many[..32].join(","), true),
            (&many.join(","), false),
            ("", false),
            (",", false),
            ("a", false),
            ("a=", false),
            ("A=1", false),
            ("1a=1", false),
            ("a@=1", false),
            ("@a=1", false),
            ("a@b@c=1", false),
            ("a=1=2", false),
            ("a=ü", false),
            ("a=\u{7f}", false),
            (&format!("a={}", "x".repeat(257)), false),
            (&format!("a=1,{}=1", "b".repeat(MAX_STATE)), false),
        ] {
            let trace = read(PARENT, Some(state)).expect("the parent is valid");
            assert_eq!(trace.tracestate().is_some(), kept, "{state}");
        }
    }

    #[test]
    fn debug_does_not_show_the_state() {
        let trace = read(PARENT, Some("vendor=secret")).expect("valid");
        assert!(!format!("{trace:?}").contains("secret"));
    }
}
