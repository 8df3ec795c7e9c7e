//! The options in the attribute's brackets.
//!
//! darling reads which options were given: it knows the names, suggests near
//! ones and refuses repetition. The values are read here, because an option's
//! own words for what it accepts are better than any general ones.

use std::time::Duration;

use darling::FromMeta;
use darling::ast::NestedMeta;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Ident, LitBool, LitStr, Meta, Path};

use crate::circuit::{self, Circuit};
use crate::concurrency_key::{self, ConcurrencyKey};
use crate::errors::Errors;
use crate::names::{MAX_FAMILY_NAME, MAX_TOOL_NAME, check_name};
use crate::retry::{self, Retry};
use crate::surface::{self, Surfaces};
use crate::values;

/// The options, read and checked one by one.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) title: Option<LitStr>,
    pub(crate) description: Option<LitStr>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_wait: Option<Duration>,
    pub(crate) retention: Option<Duration>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) fleet_concurrency: Option<u32>,
    pub(crate) queue: Option<u32>,
    pub(crate) inline: Option<Duration>,
    pub(crate) cancel_grace: Option<Duration>,
    pub(crate) on_interrupt: Option<OnInterrupt>,
    pub(crate) retry: Option<Retry>,
    pub(crate) dedupe: Option<Dedupe>,
    pub(crate) concurrency_key: Option<ConcurrencyKey>,
    pub(crate) circuit: Option<Circuit>,
    pub(crate) interactive: bool,
    pub(crate) surface: Option<Surfaces>,
    /// And where it is written.
    pub(crate) undeclared: Option<(Undeclared, Meta)>,
    pub(crate) names: Names,
    pub(crate) annotations: Annotations,
    pub(crate) input: Option<Ident>,
    pub(crate) tool: Option<Ident>,
    pub(crate) krate: Option<Path>,
}

/// What becomes of a task whose worker is gone.
#[derive(Clone, Copy)]
pub(crate) enum OnInterrupt {
    Fail,
    Retry,
}

/// Which calls share a task.
#[derive(Clone, Copy)]
pub(crate) enum Dedupe {
    Arguments,
}

/// What a native call of a client without tasks gets.
#[derive(Clone, Copy)]
pub(crate) enum Undeclared {
    Wait,
    Reject,
}

/// `names(...)`: the family's names that are not derived from the tool's.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) initiate: Option<LitStr>,
    pub(crate) status: Option<LitStr>,
    pub(crate) cancel: Option<LitStr>,
    pub(crate) respond: Option<LitStr>,
}

/// `annotations(...)`: hints about what the tool does to the world.
#[derive(Default)]
pub(crate) struct Annotations {
    pub(crate) read_only: Option<LitBool>,
    pub(crate) destructive: Option<LitBool>,
    pub(crate) idempotent: Option<LitBool>,
    pub(crate) open_world: Option<LitBool>,
}

/// Every option that there is, as it was written. The facade's table of
/// options is compared with these fields.
#[derive(Default, FromMeta)]
struct Given {
    name: Option<Meta>,
    title: Option<Meta>,
    description: Option<Meta>,
    timeout: Option<Meta>,
    max_wait: Option<Meta>,
    retention: Option<Meta>,
    concurrency: Option<Meta>,
    fleet_concurrency: Option<Meta>,
    queue: Option<Meta>,
    inline: Option<Meta>,
    cancel_grace: Option<Meta>,
    on_interrupt: Option<Meta>,
    retry: Option<Meta>,
    dedupe: Option<Meta>,
    concurrency_key: Option<Meta>,
    circuit: Option<Meta>,
    interactive: Option<Meta>,
    surface: Option<Meta>,
    undeclared: Option<Meta>,
    names: Option<Meta>,
    annotations: Option<Meta>,
    input: Option<Meta>,
    tool: Option<Meta>,
    #[darling(rename = "crate")]
    krate: Option<Meta>,
}

#[derive(Default, FromMeta)]
struct GivenNames {
    initiate: Option<Meta>,
    status: Option<Meta>,
    cancel: Option<Meta>,
    respond: Option<Meta>,
}

#[derive(Default, FromMeta)]
struct GivenAnnotations {
    read_only: Option<Meta>,
    destructive: Option<Meta>,
    idempotent: Option<Meta>,
    open_world: Option<Meta>,
}

/// Reads the options.
pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Options> {
    let before = errors.count();
    let options = read::<Given>(tokens, errors).map(|given| given.values(errors));
    options.filter(|_| errors.count() == before)
}

/// Whether there is such an option of a tool.
pub(crate) fn is_known(meta: &Meta) -> bool {
    Given::from_list(&[NestedMeta::Meta(meta.clone())]).is_ok()
}

/// Reads a list of options by name.
///
/// Each is read by itself first: darling gives nothing where one is unknown,
/// and the values of the others are worth checking all the same.
pub(crate) fn read<T: FromMeta>(tokens: TokenStream, errors: &mut Errors) -> Option<T> {
    let mut items = errors.take(NestedMeta::parse_meta_list(tokens))?;
    items.retain(|item| {
        if let NestedMeta::Lit(literal) = item {
            errors.push(
                literal,
                "an option must be written `name = value` or `name(...)`",
            );
            return false;
        }
        take::<T>(std::slice::from_ref(item), errors).is_some()
    });
    take(&items, errors)
}

fn take<T: FromMeta>(items: &[NestedMeta], errors: &mut Errors) -> Option<T> {
    T::from_list(items)
        .map_err(|found| {
            for error in found.flatten() {
                errors.add(in_our_words(&error));
            }
        })
        .ok()
}

/// darling calls an option a field.
fn in_our_words(error: &darling::Error) -> syn::Error {
    let message = error
        .to_string()
        .replacen("Unknown field: ", "unknown option ", 1)
        .replacen("Duplicate field ", "repeated option ", 1)
        .replacen(". Did you mean ", "; did you mean ", 1)
        .replacen(". Available values: ", "; there are ", 1);
    syn::Error::new(error.span(), message)
}

impl Given {
    fn values(self, errors: &mut Errors) -> Options {
        Options {
            name: self.name.and_then(|meta| {
                let name = errors.take(values::string(&meta))?;
                errors.take(check_name(&name.value(), MAX_TOOL_NAME, &name))?;
                Some(name)
            }),
            title: string(self.title, errors),
            description: string(self.description, errors),
            timeout: positive_or_none(self.timeout, errors),
            max_wait: positive_or_none(self.max_wait, errors),
            retention: positive_or_none(self.retention, errors),
            concurrency: at_least_one(self.concurrency, errors),
            fleet_concurrency: at_least_one(self.fleet_concurrency, errors),
            queue: self
                .queue
                .and_then(|meta| errors.take(values::count(&meta)))
                .map(|(count, _)| count),
            inline: positive_or_none(self.inline, errors),
            cancel_grace: self
                .cancel_grace
                .and_then(|meta| errors.take(values::duration(&meta)))
                .map(|(duration, _)| duration),
            on_interrupt: self.on_interrupt.and_then(|meta| {
                let choices = [("fail", OnInterrupt::Fail), ("retry", OnInterrupt::Retry)];
                errors.take(values::choice(&meta, &choices))
            }),
            retry: self.retry.and_then(|meta| retry::parse(&meta, errors)),
            dedupe: self.dedupe.and_then(|meta| {
                errors.take(values::choice(&meta, &[("arguments", Dedupe::Arguments)]))
            }),
            concurrency_key: self
                .concurrency_key
                .and_then(|meta| concurrency_key::parse(&meta, errors)),
            circuit: self.circuit.and_then(|meta| circuit::parse(&meta, errors)),
            interactive: self
                .interactive
                .and_then(|meta| errors.take(values::flag(&meta)))
                .is_some_and(|flag| flag.value),
            surface: self.surface.and_then(|meta| surface::parse(&meta, errors)),
            undeclared: self.undeclared.and_then(|meta| {
                let choices = [("wait", Undeclared::Wait), ("reject", Undeclared::Reject)];
                let chosen = errors.take(values::choice(&meta, &choices))?;
                Some((chosen, meta))
            }),
            names: self
                .names
                .and_then(|meta| errors.take(values::list(&meta, "initiate = \"start_build\"")))
                .and_then(|tokens| read::<GivenNames>(tokens, errors))
                .map(|given| given.values(errors))
                .unwrap_or_default(),
            annotations: self
                .annotations
                .and_then(|meta| errors.take(values::list(&meta, "read_only, open_world = false")))
                .and_then(|tokens| read::<GivenAnnotations>(tokens, errors))
                .map(|given| given.values(errors))
                .unwrap_or_default(),
            input: self
                .input
                .and_then(|meta| errors.take(values::ident(&meta))),
            tool: self.tool.and_then(|meta| errors.take(values::ident(&meta))),
            krate: self
                .krate
                .and_then(|meta| errors.take(values::crate_path(&meta))),
        }
    }
}

impl GivenNames {
    fn values(self, errors: &mut Errors) -> Names {
        let mut family_name = |meta: Option<Meta>| {
            let name = errors.take(values::string(&meta?))?;
            errors.take(check_name(&name.value(), MAX_FAMILY_NAME, &name))?;
            Some(name)
        };
        Names {
            initiate: family_name(self.initiate),
            status: family_name(self.status),
            cancel: family_name(self.cancel),
            respond: family_name(self.respond),
        }
    }
}

impl GivenAnnotations {
    fn values(self, errors: &mut Errors) -> Annotations {
        let mut flag = |meta: Option<Meta>| errors.take(values::flag(&meta?));
        Annotations {
            read_only: flag(self.read_only),
            destructive: flag(self.destructive),
            idempotent: flag(self.idempotent),
            open_world: flag(self.open_world),
        }
    }
}

fn string(meta: Option<Meta>, errors: &mut Errors) -> Option<LitStr> {
    errors.take(values::string(&meta?))
}

fn positive_or_none(meta: Option<Meta>, errors: &mut Errors) -> Option<Duration> {
    positive(meta, "have none", errors).map(|(duration, _)| duration)
}

/// A duration that is not zero; `default` says what one gets without it.
pub(crate) fn positive(
    meta: Option<Meta>,
    default: &str,
    errors: &mut Errors,
) -> Option<(Duration, LitStr)> {
    let meta = meta?;
    let (duration, literal) = errors.take(values::duration(&meta))?;
    if duration.is_zero() {
        let name = meta.path().to_token_stream();
        errors.push(
            literal,
            format_args!("`{name}` must be longer than zero; leave the option out to {default}"),
        );
        return None;
    }
    Some((duration, literal))
}

/// How many tasks may run.
pub(crate) fn at_least_one(meta: Option<Meta>, errors: &mut Errors) -> Option<u32> {
    let meta = meta?;
    let (count, literal) = errors.take(values::count(&meta))?;
    if count == 0 {
        let name = meta.path().to_token_stream();
        errors.push(
            literal,
            format_args!("`{name}` must be at least 1: with 0 no task would ever run"),
        );
    }
    Some(count)
}
