//! `retry(...)`.

use std::time::Duration;

use darling::FromMeta;
use syn::{LitStr, Meta};

use crate::errors::Errors;
use crate::options::{positive, read};
use crate::values;

/// More starts than this are a loop, and no repetition.
const MAX_ATTEMPTS: u32 = 100;

/// What the runtime takes where the option says nothing, to compare it with
/// what is given. `tests/macro_it/descriptor.rs` compares it with the runtime's.
const DEFAULT_BACKOFF: (Duration, &str) = (Duration::from_secs(1), "1s");
const DEFAULT_MAX_BACKOFF: (Duration, &str) = (Duration::from_secs(60), "1m");

/// `retry(attempts, backoff, max_backoff)`.
pub(crate) struct Retry {
    pub(crate) attempts: u32,
    pub(crate) backoff: Option<Duration>,
    pub(crate) max_backoff: Option<Duration>,
}

#[derive(Default, FromMeta)]
struct Given {
    attempts: Option<Meta>,
    backoff: Option<Meta>,
    max_backoff: Option<Meta>,
}

/// Reads the option's value.
pub(crate) fn parse(meta: &Meta, errors: &mut Errors) -> Option<Retry> {
    let before = errors.count();
    let tokens = errors.take(values::list(meta, "attempts = 3"))?;
    let given: Given = read(tokens, errors)?;
    // What was misspelt is reported already.
    if given.attempts.is_none() && errors.count() == before {
        errors.push(
            meta.path(),
            "`retry` needs `attempts`: how often a task is started at most\n\
             help: write `retry(attempts = 3)`",
        );
    }
    let attempts = given.attempts.and_then(|meta| attempts(&meta, errors));
    let backoff = positive(given.backoff, "have 1s", errors);
    let max_backoff = positive(given.max_backoff, "have 1m", errors);
    check_order(backoff.as_ref(), max_backoff.as_ref(), errors);
    Some(Retry {
        attempts: attempts.unwrap_or_default(),
        backoff: backoff.map(|(duration, _)| duration),
        max_backoff: max_backoff.map(|(duration, _)| duration),
    })
}

fn attempts(meta: &Meta, errors: &mut Errors) -> Option<u32> {
    let (attempts, literal) = errors.take(values::count(meta))?;
    if attempts < 2 {
        errors.push(
            &literal,
            "`attempts` must be at least 2, because the first start counts; \
             leave `retry` out to have no other",
        );
    } else if attempts > MAX_ATTEMPTS {
        errors.push(
            &literal,
            format_args!("`attempts` must be at most {MAX_ATTEMPTS}"),
        );
    }
    Some(attempts)
}

/// The pause grows from the one to the other, also where one of them is the
/// default.
fn check_order(
    backoff: Option<&(Duration, LitStr)>,
    max_backoff: Option<&(Duration, LitStr)>,
    errors: &mut Errors,
) {
    match (backoff, max_backoff) {
        (Some((backoff, _)), Some((max_backoff, literal))) if max_backoff < backoff => {
            errors.push(
                literal,
                "`max_backoff` must be at least as long as `backoff`",
            );
        }
        (Some((backoff, literal)), None) if *backoff > DEFAULT_MAX_BACKOFF.0 => errors.push(
            literal,
            format_args!(
                "`backoff` must be at most as long as `max_backoff`, which is {} unless given\n\
                 help: give it too, `max_backoff = \"{}\"`",
                DEFAULT_MAX_BACKOFF.1,
                literal.value()
            ),
        ),
        (None, Some((max_backoff, literal))) if *max_backoff < DEFAULT_BACKOFF.0 => errors.push(
            literal,
            format_args!(
                "`max_backoff` must be at least as long as `backoff`, which is {} unless given\n\
                 help: give it too, `backoff = \"{}\"`",
                DEFAULT_BACKOFF.1,
                literal.value()
            ),
        ),
        _ => {}
    }
}
