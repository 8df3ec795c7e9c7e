//! A tool that is known to be right: what `expand` writes out.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::{Attribute, Ident, LitStr, Path, Type, Visibility};

use crate::concurrency_key::Resolved;
use crate::doc;
use crate::errors::Errors;
use crate::names::{MAX_TOOL_NAME, check_name, type_name};
use crate::options::{Annotations, Options};
use crate::owner::Owner;
use crate::params::{self, Argument, Param};
use crate::signature::{self, Item};
use crate::surface;

/// Everything that the expansion needs; nothing left to decide.
pub(crate) struct Tool {
    pub(crate) function: Ident,
    /// How the function is called from outside: `build`, `<Server>::build`.
    pub(crate) callee: TokenStream,
    pub(crate) vis: Visibility,
    /// Attributes of the function, and of the `impl` block that it is in, that
    /// hold for all that is generated.
    pub(crate) attrs: Vec<Attribute>,
    /// The facade, or what the user calls it.
    pub(crate) krate: Path,
    pub(crate) input_type: Ident,
    pub(crate) tool_type: Ident,
    pub(crate) params: Vec<Param>,
    /// What the function returns, `Result` or not.
    pub(crate) output: Type,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) concurrency_key: Option<Resolved>,
    pub(crate) options: Options,
}

impl Tool {
    /// Reads a function, or a method of `owner`, and takes off it what cannot
    /// stay there.
    pub(crate) fn read(
        item: &mut Item,
        options: Option<Options>,
        owner: Option<&Owner>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let params = params::take(&mut item.sig, owner, errors);
        let output = signature::check(&item.sig, owner, errors);
        Self::new(item, params?, output?, options?, owner, errors)
    }

    /// Puts together what was read, and checks what can only be checked together.
    fn new(
        item: &Item,
        params: Vec<Param>,
        output: Type,
        options: Options,
        owner: Option<&Owner>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let before = errors.count();
        let function = item.sig.ident.clone();
        let name = match &options.name {
            Some(name) => name.value(),
            None => {
                let name = function.unraw().to_string();
                if check_name(&name, MAX_TOOL_NAME, &function).is_err() {
                    errors.push(
                        &function,
                        format_args!(
                            "`{name}` cannot be a tool's name: 1 to {MAX_TOOL_NAME} of `A-Z a-z 0-9 _ - .`\n\
                             help: choose one for clients, `#[async_tool(name = \"...\")]`"
                        ),
                    );
                }
                name
            }
        };
        surface::check(&options, errors);
        check_family(&name, &options, errors);
        check_annotations(&options.annotations, errors);
        let description = match (&options.description, doc::text(&item.attrs)) {
            (Some(given), _) => given.value(),
            (None, Ok(text)) => text,
            (None, Err(value)) => {
                errors.push(
                    value,
                    "only rustc can read this text, so it cannot become the tool's description\n\
                     help: give one for models, `#[async_tool(description = \"...\")]`",
                );
                String::new()
            }
        };
        let concurrency_key = options
            .concurrency_key
            .as_ref()
            .map(|key| key.resolve(&name, &item.sig, arguments(&params), errors));
        let mut attrs = owner.map_or_else(Vec::new, |owner| owner.attrs.clone());
        attrs.extend(for_all_that_is_generated(&item.attrs));
        let tool = Self {
            callee: callee(&function, owner),
            vis: item.vis.clone(),
            attrs,
            krate: options
                .krate
                .as_ref()
                .or_else(|| owner?.krate.as_ref())
                .cloned()
                .unwrap_or_else(|| syn::parse_quote!(::async_tool)),
            input_type: options
                .input
                .clone()
                .unwrap_or_else(|| type_name(&function, "Input")),
            tool_type: options
                .tool
                .clone()
                .unwrap_or_else(|| type_name(&function, "Tool")),
            function,
            params,
            output,
            name,
            description,
            concurrency_key,
            options,
        };
        (errors.count() == before).then_some(tool)
    }

    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        arguments(&self.params)
    }
}

fn arguments(params: &[Param]) -> impl Iterator<Item = &Argument> {
    params.iter().filter_map(|param| match param {
        Param::Owned(argument) => Some(argument),
        Param::Borrowed(_) => None,
    })
}

/// All of it where the function's name is: rustc underlines the callee where a
/// future is not `Send`.
fn callee(function: &Ident, owner: Option<&Owner>) -> TokenStream {
    let Some(owner) = owner else {
        return function.to_token_stream();
    };
    let ty = owner.at(function.span());
    quote_spanned!(function.span()=> <#ty>::#function)
}

/// What is generated comes and goes with the function, may do what the
/// function may do, and calls a deprecated function without being told.
pub(crate) fn for_all_that_is_generated(attrs: &[Attribute]) -> Vec<Attribute> {
    let holds = |attr: &Attribute| {
        let path = attr.path();
        if path.is_ident("cfg") || path.is_ident("allow") {
            Some(attr.clone())
        } else if path.is_ident("deprecated") {
            Some(syn::parse_quote!(#[allow(deprecated)]))
        } else {
            None
        }
    };
    attrs.iter().filter_map(holds).collect()
}

/// The names that the tool publishes differ.
fn check_family(tool: &str, options: &Options, errors: &mut Errors) {
    let names = &options.names;
    let mut verbs = vec![
        ("initiate", names.initiate.as_ref()),
        ("status", names.status.as_ref()),
        ("cancel", names.cancel.as_ref()),
    ];
    if options.interactive {
        verbs.push(("respond", names.respond.as_ref()));
    }
    let mut family: Vec<_> = verbs
        .into_iter()
        .map(|(verb, given)| {
            let name = given.map_or_else(|| format!("{tool}_{verb}"), LitStr::value);
            (verb, given, name)
        })
        .collect();
    if options.surface.is_some_and(|surfaces| surfaces.native) {
        family.push(("native", None, tool.to_owned()));
    }
    for (index, (verb, given, name)) in family.iter().enumerate() {
        let same = family
            .iter()
            .enumerate()
            .find(|(other, (.., taken))| *other != index && taken == name);
        if let (Some(literal), Some((other, (taken_by, taken_given, _)))) = (given, same) {
            // Of two given names the second is the mistake.
            if taken_given.is_none() || other < index {
                errors.push(
                    literal,
                    format_args!("`{verb}` cannot be named `{name}`: `{taken_by}` is"),
                );
            }
        }
    }
}

fn check_annotations(annotations: &Annotations, errors: &mut Errors) {
    let is_true = |hint: &Option<syn::LitBool>| hint.as_ref().is_some_and(|hint| hint.value);
    if is_true(&annotations.read_only) && is_true(&annotations.destructive) {
        errors.push(
            &annotations.destructive,
            "a tool that is `read_only` cannot be `destructive`: leave one of them out",
        );
    }
}
