//! `#[serde(...)]` and `#[schemars(...)]` on parameters.
//!
//! They go to the field of the input struct as they are, and the derives
//! judge them. Read here is only what the attribute must know: the names that
//! callers use, which bounds a conversion function makes superfluous, and
//! what cannot work on an argument at all.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, Token};

use crate::errors::Errors;

/// What the attributes of one parameter say.
#[derive(Default)]
pub(crate) struct SerdeAttrs {
    /// The name in JSON, where it is not the parameter's own.
    pub(crate) rename: Option<LitStr>,
    /// Further names in JSON.
    pub(crate) aliases: Vec<LitStr>,
    /// A function of the user's reads the value; its type need not.
    pub(crate) reads_by_function: bool,
    /// A function of the user's writes the value; its type need not.
    pub(crate) writes_by_function: bool,
    /// The schema has a description of the user's.
    pub(crate) described: bool,
}

/// Reads the attributes of one parameter, and refuses what cannot work.
pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> SerdeAttrs {
    let mut found = SerdeAttrs::default();
    for attr in attrs {
        let of_serde = attr.path().is_ident("serde");
        if !of_serde && !attr.path().is_ident("schemars") {
            continue;
        }
        // What cannot be read as a list is for the derives to report.
        let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
        for meta in attr.parse_args_with(parser).into_iter().flatten() {
            if let Some(reason) = refusal(&meta, of_serde) {
                let attribute = if of_serde { "serde" } else { "schemars" };
                let name = meta.path().to_token_stream();
                errors.push(
                    &meta,
                    format_args!("`#[{attribute}({name})]` cannot be on a parameter: {reason}"),
                );
            } else if of_serde {
                found.add(&meta);
            } else {
                found.described |= meta.path().is_ident("description");
            }
        }
    }
    found
}

impl SerdeAttrs {
    fn add(&mut self, meta: &Meta) {
        let path = meta.path();
        if path.is_ident("rename") {
            self.rename = string(meta);
        } else if path.is_ident("alias") {
            self.aliases.extend(string(meta));
        } else if path.is_ident("with") {
            self.reads_by_function = true;
            self.writes_by_function = true;
        } else if path.is_ident("deserialize_with") {
            self.reads_by_function = true;
        } else if path.is_ident("serialize_with") {
            self.writes_by_function = true;
        }
    }
}

fn refusal(meta: &Meta, of_serde: bool) -> Option<&'static str> {
    let name = meta.path().get_ident()?.to_string();
    Some(match name.as_str() {
        "flatten" => {
            "properties that no parameter names are refused, so nothing would be left to flatten\n\
             help: take the struct as one argument, or its fields as parameters"
        }
        "skip" | "skip_deserializing" | "skip_serializing" => {
            "an owned parameter comes from the caller\n\
             help: borrow what the server provides, `&T`"
        }
        "rename" if !of_serde => {
            "the schema takes its names from serde\n\
             help: write `#[serde(rename = \"...\")]`"
        }
        "rename" if matches!(meta, Meta::List(_)) => {
            "arguments are written and read under one name\n\
             help: write `rename = \"...\"`"
        }
        "bound" | "borrow" => "a tool's arguments have neither type parameters nor lifetimes",
        _ => return None,
    })
}

fn string(meta: &Meta) -> Option<LitStr> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the attribute belongs to the field and not to the parameter:
/// rustc allows none of these on a parameter.
pub(crate) fn belongs_to_field(attr: &Attribute) -> bool {
    ["doc", "serde", "schemars"]
        .iter()
        .any(|name| attr.path().is_ident(name))
}

/// A type as text for `#[serde(bound)]`, if it can be written as text:
/// `$crate` of a `macro_rules!` cannot. Without the bound the type works all
/// the same; only the error for a missing impl gets longer.
pub(crate) fn as_text(ty: &TokenStream) -> Option<String> {
    Some(ty.to_string()).filter(|text| !text.contains('$'))
}
