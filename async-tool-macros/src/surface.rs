//! `surface(...)`, and which other options have a meaning with it.

use darling::FromMeta;
use quote::ToTokens;
use syn::{LitStr, Meta};

use crate::errors::Errors;
use crate::options::{Names, Options, read};
use crate::values;

/// Through what the tool can be called.
#[derive(Clone, Copy)]
pub(crate) struct Surfaces {
    pub(crate) family: bool,
    pub(crate) shared: bool,
    pub(crate) native: bool,
}

#[derive(Default, FromMeta)]
struct Given {
    family: Option<Meta>,
    shared: Option<Meta>,
    native: Option<Meta>,
}

/// Reads the option's value.
pub(crate) fn parse(meta: &Meta, errors: &mut Errors) -> Option<Surfaces> {
    let tokens = errors.take(values::list(meta, "family, native"))?;
    let given: Given = read(tokens, errors)?;
    let mut has = |meta: Option<Meta>| match meta {
        None => false,
        Some(Meta::Path(_)) => true,
        Some(other) => {
            let name = other.path().to_token_stream();
            errors.push(
                &other,
                format_args!("`{name}` takes no value: `surface({name})`"),
            );
            true
        }
    };
    Some(Surfaces {
        family: has(given.family),
        shared: has(given.shared),
        native: has(given.native),
    })
}

/// Refuses what nothing would ever look at.
pub(crate) fn check(options: &Options, errors: &mut Errors) {
    let Names {
        initiate,
        status,
        cancel,
        respond,
    } = &options.names;
    if let (Some(respond), false) = (respond, options.interactive) {
        errors.push(
            respond,
            "only a tool that may ask questions has one to answer them\n\
             help: add `interactive`, or leave `respond` out",
        );
    }
    let Some(surfaces) = options.surface else {
        return;
    };
    let mut check = |name: &Option<LitStr>, verb: &str, has: bool, where_it_is: &str| {
        if let (Some(name), false) = (name, has) {
            errors.push(
                name,
                format_args!(
                    "with this `surface` the tool has no `{verb}` to name\n\
                     help: add {where_it_is} to `surface(...)`, or leave `{verb}` out"
                ),
            );
        }
    };
    let has_initiate = surfaces.family || surfaces.shared;
    check(initiate, "initiate", has_initiate, "`family` or `shared`");
    check(status, "status", surfaces.family, "`family`");
    check(cancel, "cancel", surfaces.family, "`family`");
    check(respond, "respond", surfaces.family, "`family`");
    if let (Some((_, meta)), false) = (&options.undeclared, surfaces.native) {
        errors.push(
            meta,
            "`undeclared` is about calls of the native surface, which this tool does not have\n\
             help: add `native` to `surface(...)`, or leave `undeclared` out",
        );
    }
}
