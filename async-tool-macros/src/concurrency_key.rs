//! `concurrency_key(...)`: read as it was written, then resolved, once the
//! parameters are known.

use darling::FromMeta;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{FnArg, Ident, LitStr, Meta, Pat, Signature, Token};

use crate::errors::Errors;
use crate::names::{MAX_TOOL_NAME, check_name};
use crate::options::{at_least_one, read};
use crate::params::Argument;
use crate::values;

/// The option as it was written.
pub(crate) struct ConcurrencyKey {
    group: Option<LitStr>,
    args: Vec<Ident>,
    limit: Option<u32>,
}

/// What the option comes to for one tool.
pub(crate) struct Resolved {
    pub(crate) group: String,
    /// Names of the arguments as clients see them.
    pub(crate) arguments: Vec<String>,
    pub(crate) limit: Option<u32>,
}

#[derive(Default, FromMeta)]
struct Given {
    group: Option<Meta>,
    args: Option<Meta>,
    limit: Option<Meta>,
}

/// Reads the option's value.
pub(crate) fn parse(meta: &Meta, errors: &mut Errors) -> Option<ConcurrencyKey> {
    let before = errors.count();
    let tokens = errors.take(values::list(meta, "args(project)"))?;
    let given: Given = read(tokens, errors)?;
    // What was misspelt is reported already.
    if given.args.is_none() && errors.count() == before {
        errors.push(
            meta.path(),
            "`concurrency_key` needs `args`: the arguments whose values are compared\n\
             help: name parameters, `concurrency_key(args(project))`",
        );
    }
    Some(ConcurrencyKey {
        group: given.group.and_then(|meta| group(&meta, errors)),
        args: given
            .args
            .and_then(|meta| args(&meta, errors))
            .unwrap_or_default(),
        limit: at_least_one(given.limit, errors),
    })
}

/// Plain, like the tool's name that it is by default: it becomes part of keys
/// in every store.
fn group(meta: &Meta, errors: &mut Errors) -> Option<LitStr> {
    let group = errors.take(values::string(meta))?;
    if check_name(&group.value(), MAX_TOOL_NAME, &group).is_err() {
        errors.push(
            &group,
            format_args!("`group` must be 1 to {MAX_TOOL_NAME} of `A-Z a-z 0-9 _ - .`"),
        );
    }
    Some(group)
}

fn args(meta: &Meta, errors: &mut Errors) -> Option<Vec<Ident>> {
    let tokens = errors.take(values::list(meta, "project"))?;
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with;
    let parser = |input: syn::parse::ParseStream<'_>| names(input, Ident::parse_any);
    let args = parser.parse2(tokens).map_err(|error| {
        syn::Error::new(
            error.span(),
            "`args` must be names of parameters: `args(environment, service)`",
        )
    });
    Some(errors.take(args)?.into_iter().collect())
}

impl ConcurrencyKey {
    /// Finds the parameters that are named.
    pub(crate) fn resolve<'a>(
        &self,
        tool: &str,
        sig: &Signature,
        arguments: impl Iterator<Item = &'a Argument>,
        errors: &mut Errors,
    ) -> Resolved {
        let known: Vec<&Argument> = arguments.collect();
        let mut found: Vec<String> = Vec::new();
        for arg in &self.args {
            let Some(argument) = known
                .iter()
                .find(|known| known.ident.unraw() == arg.unraw())
            else {
                errors.push(arg, unknown(arg, sig, &known));
                continue;
            };
            let name = argument.json_name();
            if found.contains(&name) {
                errors.push(arg, format_args!("repeated argument `{}`", arg.unraw()));
            } else {
                found.push(name);
            }
        }
        Resolved {
            group: self
                .group
                .as_ref()
                .map_or_else(|| tool.to_owned(), LitStr::value),
            arguments: found,
            limit: self.limit,
        }
    }
}

/// What to say about a name that no owned parameter has.
fn unknown(name: &Ident, sig: &Signature, known: &[&Argument]) -> String {
    /// As near as darling wants an option to be before it suggests it.
    const SIMILAR: f64 = 0.8;

    let name = name.unraw().to_string();
    let names: Vec<String> = known
        .iter()
        .map(|argument| argument.ident.unraw().to_string())
        .collect();
    let there_are = if names.is_empty() {
        "this tool has none".to_owned()
    } else {
        format!("this tool has `{}`", names.join("`, `"))
    };
    if is_parameter(&name, sig) {
        return format!(
            "`{name}` is not an argument: it comes from the server\n\
             help: name arguments; {there_are}"
        );
    }
    let renamed = known.iter().find(|argument| argument.json_name() == name);
    if let Some(argument) = renamed {
        return format!(
            "`{name}` is what clients call the parameter `{0}`\nhelp: write `{0}`",
            argument.ident.unraw()
        );
    }
    let near = names
        .iter()
        .map(|known| (strsim::jaro_winkler(&name, known), known))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, known)| format!("; did you mean `{known}`?"));
    format!(
        "unknown argument `{name}`{}\nhelp: {there_are}",
        near.unwrap_or_default()
    )
}

fn is_parameter(name: &str, sig: &Signature) -> bool {
    sig.inputs.iter().any(|input| match input {
        FnArg::Typed(input) => match &*input.pat {
            Pat::Ident(pat) => pat.ident.unraw() == name,
            _ => false,
        },
        FnArg::Receiver(_) => name == "self",
    })
}
