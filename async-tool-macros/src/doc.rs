//! The text of a documentation comment.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// What the doc comment says, for models to read; empty if there is none.
///
/// Lines are gathered from every `#[doc = "…"]`, whatever other attributes
/// stand between them. A comment indents its text by one space, which is
/// taken off each line that is not blank, or by more in `/** … */` blocks, so
/// the indentation that all lines share goes; what a line has beyond that
/// stays, and so do blank lines, because lists and code depend on them. Blank
/// lines around the whole go.
///
/// An error is an attribute whose text only rustc knows, such as
/// `#[doc = include_str!("…")]`.
pub(crate) fn text(attrs: &[Attribute]) -> Result<String, &Expr> {
    let mut lines = Vec::new();
    for value in attrs.iter().filter_map(doc_value) {
        match value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => lines.extend(text.value().lines().map(|line| line.trim_end().to_owned())),
            other => return Err(other),
        }
        // `///` alone is a line too, and `"".lines()` has none.
        if matches!(value, Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value().is_empty())
        {
            lines.push(String::new());
        }
    }
    let margin = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.get(margin..).unwrap_or_default())
        .collect();
    Ok(lines.join("\n").trim_matches('\n').to_owned())
}

/// The value of `#[doc = …]`; `#[doc(hidden)]` and its like have none.
fn doc_value(attr: &Attribute) -> Option<&Expr> {
    match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => Some(&pair.value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn check(attrs: &[Attribute], expected: &str) {
        assert_eq!(text(attrs).expect("only literals"), expected);
    }

    #[test]
    fn lines_lose_their_one_space() {
        check(
            &[
                parse_quote!(#[doc = " Build it."]),
                parse_quote!(#[doc = " Well."]),
            ],
            "Build it.\nWell.",
        );
    }

    #[test]
    fn other_attributes_in_between_do_no_harm() {
        check(
            &[
                parse_quote!(#[doc = " One."]),
                parse_quote!(#[allow(dead_code)]),
                parse_quote!(#[doc(hidden)]),
                parse_quote!(#[doc = " Two."]),
            ],
            "One.\nTwo.",
        );
    }

    #[test]
    fn blank_lines_and_indentation_stay() {
        check(
            &[
                parse_quote!(#[doc = " List:"]),
                parse_quote!(#[doc = ""]),
                parse_quote!(#[doc = " - one"]),
                parse_quote!(#[doc = "   more"]),
                parse_quote!(#[doc = ""]),
            ],
            "List:\n\n- one\n  more",
        );
    }

    #[test]
    fn a_block_comment_loses_its_margin() {
        check(
            &[parse_quote!(#[doc = "\n    Build it.\n\n      code\n    "])],
            "Build it.\n\n  code",
        );
    }

    #[test]
    fn no_comment_is_no_text() {
        check(&[], "");
        check(&[parse_quote!(#[doc = "   "])], "");
    }

    #[test]
    fn text_that_only_rustc_knows_is_an_error() {
        let attrs: [Attribute; 1] = [parse_quote!(#[doc = include_str!("x.md")])];
        assert!(text(&attrs).is_err());
    }
}
