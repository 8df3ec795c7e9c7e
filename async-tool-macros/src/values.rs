//! The values of options. Each error underlines the value and says what to
//! write.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Error, Expr, Ident, Lit, LitBool, LitInt, LitStr, Meta, Path, PathArguments, Result};

/// Longest time that an option accepts: a hundred years. Beyond it, adding to
/// a date could overflow. A year is what `humantime` takes for one, 365.25 days,
/// so that `"100y"` is within it.
const MAX_DURATION: Duration = Duration::from_secs(100 * 31_557_600);

/// `name = "text"`.
pub(crate) fn string(meta: &Meta) -> Result<LitStr> {
    match literal(meta) {
        Some(Lit::Str(text)) => Ok(text.clone()),
        _ => Err(expected(meta, "a string", "\"...\"")),
    }
}

/// `name = "1h30m"`.
pub(crate) fn duration(meta: &Meta) -> Result<(Duration, LitStr)> {
    const EXAMPLES: &str = "write a number and a unit, such as \"90s\", \"15m\" or \"1h30m\"";
    let Some(Lit::Str(text)) = literal(meta) else {
        return Err(expected(meta, "a duration", "\"15m\""));
    };
    let name = name(meta);
    match humantime::parse_duration(&text.value()) {
        Ok(duration) if duration > MAX_DURATION => Err(Error::new_spanned(
            text,
            format_args!("`{name}` must be at most 100 years"),
        )),
        Ok(duration) => Ok((duration, text.clone())),
        Err(error) => Err(Error::new_spanned(
            text,
            format_args!("`{name}` must be a duration: {error}\nhelp: {EXAMPLES}"),
        )),
    }
}

/// `name = 4`.
pub(crate) fn count(meta: &Meta) -> Result<(u32, LitInt)> {
    match literal(meta) {
        // Not `usize`, so that what compiles does not depend on the machine.
        Some(Lit::Int(number)) => number
            .base10_parse::<u32>()
            .map(|count| (count, number.clone()))
            .map_err(|_| expected(meta, "a count", "4")),
        _ => Err(expected(meta, "a count", "4")),
    }
}

/// `name = 0.5`, or a whole number.
pub(crate) fn fraction(meta: &Meta) -> Result<(f64, Lit)> {
    let given = literal(meta);
    let number = match given {
        Some(Lit::Float(number)) => number.base10_parse::<f64>().ok(),
        Some(Lit::Int(number)) => number.base10_parse::<u32>().ok().map(f64::from),
        _ => None,
    };
    number
        .zip(given.cloned())
        .ok_or_else(|| expected(meta, "a number", "0.5"))
}

/// `name = "one of these"`.
pub(crate) fn choice<T: Copy>(meta: &Meta, choices: &[(&str, T)]) -> Result<T> {
    let chosen = match literal(meta) {
        Some(Lit::Str(text)) => {
            let text = text.value();
            choices.iter().find(|(name, _)| *name == text)
        }
        _ => None,
    };
    chosen.map(|(_, value)| *value).ok_or_else(|| {
        let quoted: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        let example = quoted.last().map_or("", String::as_str);
        expected(meta, &quoted.join(" or "), example)
    })
}

/// `name` or `name = true`.
pub(crate) fn flag(meta: &Meta) -> Result<LitBool> {
    match meta {
        Meta::Path(path) => Ok(LitBool::new(true, syn::spanned::Spanned::span(path))),
        _ => match literal(meta) {
            Some(Lit::Bool(value)) => Ok(value.clone()),
            _ => Err(expected(meta, "`true` or `false`", "true")),
        },
    }
}

/// `name(...)`: what is in the brackets.
pub(crate) fn list(meta: &Meta, example: &str) -> Result<TokenStream> {
    match meta {
        Meta::List(list) if !list.tokens.is_empty() => Ok(list.tokens.clone()),
        _ => Err(Error::new_spanned(
            meta,
            format_args!("`{0}` must be a list: `{0}({example})`", name(meta)),
        )),
    }
}

/// `name = Identifier`.
pub(crate) fn ident(meta: &Meta) -> Result<Ident> {
    path(meta)
        .and_then(Path::get_ident)
        .cloned()
        .ok_or_else(|| expected(meta, "a name for the type", "Name"))
}

/// `name = ::path` or `name = crate::path`.
///
/// A path that starts anywhere else would mean something different in each
/// module, depending on what the module has that goes by the same name.
pub(crate) fn crate_path(meta: &Meta) -> Result<Path> {
    let Some(path) = path(meta) else {
        return Err(expected(meta, "a path", "::renamed_async_tool"));
    };
    if path
        .segments
        .iter()
        .any(|segment| !matches!(segment.arguments, PathArguments::None))
    {
        return Err(expected(
            meta,
            "a path to a crate or module",
            "::renamed_async_tool",
        ));
    }
    let anchored = path.leading_colon.is_some()
        || path
            .segments
            .first()
            .is_some_and(|segment| segment.ident == "crate");
    if anchored {
        Ok(path.clone())
    } else {
        let written = path.to_token_stream().to_string().replace(' ', "");
        Err(Error::new_spanned(
            path,
            format_args!(
                "`crate` must be a path that means the same everywhere\n\
                 help: write `::{written}` for a dependency, `crate::{written}` for a module of this crate"
            ),
        ))
    }
}

fn name(meta: &Meta) -> String {
    meta.path().to_token_stream().to_string()
}

fn expected(meta: &Meta, what: &str, example: &str) -> Error {
    let name = name(meta);
    let message = format!("`{name}` must be {what}: `{name} = {example}`");
    match meta {
        Meta::NameValue(pair) => Error::new_spanned(&pair.value, message),
        _ => Error::new_spanned(meta, message),
    }
}

fn value(meta: &Meta) -> Option<&Expr> {
    let Meta::NameValue(pair) = meta else {
        return None;
    };
    let mut value = &pair.value;
    // What a `macro_rules!` passes on as `$value:expr` comes in an invisible group.
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    Some(value)
}

fn literal(meta: &Meta) -> Option<&Lit> {
    match value(meta)? {
        Expr::Lit(literal) => Some(&literal.lit),
        _ => None,
    }
}

fn path(meta: &Meta) -> Option<&Path> {
    match value(meta)? {
        Expr::Path(path) if path.qself.is_none() => Some(&path.path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_years_are_the_longest_time() {
        let years = |text: &str| duration(&syn::parse_quote!(timeout = #text)).map(|found| found.0);
        assert_eq!(years("100y").ok(), Some(MAX_DURATION));
        assert_eq!(years("100years").ok(), Some(MAX_DURATION));
        assert!(years("100y 1s").is_err());
        assert!(years("101y").is_err());
    }
}
