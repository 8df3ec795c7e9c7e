//! `circuit(...)`.

use std::time::Duration;

use darling::FromMeta;
use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::Meta;

use crate::errors::Errors;
use crate::expand::{chain, count, duration};
use crate::options::read;
use crate::values;

/// `circuit(failure_rate, window, cool_down, minimum)`.
pub(crate) struct Circuit {
    failure_rate: f64,
    window: Duration,
    cool_down: Duration,
    minimum: Option<u32>,
}

#[derive(Default, FromMeta)]
struct Given {
    failure_rate: Option<Meta>,
    window: Option<Meta>,
    cool_down: Option<Meta>,
    minimum: Option<Meta>,
}

const EXAMPLE: &str = "failure_rate = 0.5, window = \"1m\", cool_down = \"30s\"";

/// Reads the option's value.
pub(crate) fn parse(meta: &Meta, errors: &mut Errors) -> Option<Circuit> {
    let before = errors.count();
    let tokens = errors.take(values::list(meta, EXAMPLE))?;
    let given: Given = read(tokens, errors)?;
    let missing: Vec<&str> = [
        ("`failure_rate`", given.failure_rate.is_none()),
        ("`window`", given.window.is_none()),
        ("`cool_down`", given.cool_down.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, missing)| missing.then_some(name))
    .collect();
    // What was misspelt is reported already.
    if !missing.is_empty() && errors.count() == before {
        errors.push(
            meta.path(),
            format_args!(
                "`circuit` needs {}\nhelp: write `circuit({EXAMPLE})`",
                missing.join(" and ")
            ),
        );
    }
    let failure_rate = given.failure_rate.and_then(|meta| rate(&meta, errors));
    let window = given.window.and_then(|meta| length(&meta, errors));
    let cool_down = given.cool_down.and_then(|meta| length(&meta, errors));
    let minimum = given.minimum.and_then(|meta| minimum(&meta, errors));
    Some(Circuit {
        failure_rate: failure_rate?,
        window: window?,
        cool_down: cool_down?,
        minimum,
    })
}

fn rate(meta: &Meta, errors: &mut Errors) -> Option<f64> {
    let (rate, literal) = errors.take(values::fraction(meta))?;
    // 0 would be open before anything failed.
    if rate > 0.0 && rate <= 1.0 {
        return Some(rate);
    }
    errors.push(
        literal,
        "`failure_rate` must be above 0 and at most 1: half of the attempts is 0.5",
    );
    None
}

fn length(meta: &Meta, errors: &mut Errors) -> Option<Duration> {
    let (length, literal) = errors.take(values::duration(meta))?;
    if length.is_zero() {
        let name = meta.path().to_token_stream();
        errors.push(literal, format_args!("`{name}` must be longer than zero"));
    }
    Some(length)
}

fn minimum(meta: &Meta, errors: &mut Errors) -> Option<u32> {
    let (minimum, literal) = errors.take(values::count(meta))?;
    if minimum == 0 {
        errors.push(
            literal,
            "`minimum` must be at least 1: of no attempts none has failed",
        );
    }
    Some(minimum)
}

impl Circuit {
    /// The runtime's value.
    pub(crate) fn expand(&self, private: &TokenStream) -> TokenStream {
        let rate = Literal::f64_unsuffixed(self.failure_rate);
        let (window, cool_down) = (duration(self.window), duration(self.cool_down));
        let minimum = self.minimum.map(count);
        let start = quote!(#private::Circuit::new(#rate, #window, #cool_down));
        chain(&start, [("minimum", minimum)])
    }
}
