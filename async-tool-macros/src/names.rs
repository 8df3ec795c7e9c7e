//! Names: of tools, of the types that are generated, and those that a
//! parameter cannot have.

use quote::ToTokens;
use syn::Ident;
use syn::ext::IdentExt;

/// Longest name of a tool in a family (specification 2026-07-28, server/tools).
pub(crate) const MAX_FAMILY_NAME: usize = 128;
/// Longest name of a tool; leaves room for `_initiate` and more.
pub(crate) const MAX_TOOL_NAME: usize = 100;

/// Properties of the initiate tool that the framework takes for itself.
const RESERVED: [(&str, &str); 3] = [
    (
        "idempotency_key",
        "makes a repeated call find the first one's task",
    ),
    ("max_wait_seconds", "sets the task's deadline"),
    ("callback_url", "is called when the task ends"),
];

/// What the framework does with the property of this name, if it takes it.
pub(crate) fn reserved(name: &str) -> Option<&'static str> {
    RESERVED
        .iter()
        .find(|(reserved, _)| *reserved == name)
        .map(|(_, purpose)| *purpose)
}

/// Checks a name that clients see; an error underlines `tokens`.
pub(crate) fn check_name(name: &str, longest: usize, tokens: impl ToTokens) -> syn::Result<()> {
    let message = if name.is_empty() {
        "a tool's name must not be empty".to_owned()
    } else if name.len() > longest {
        format!(
            "a name must be at most {longest} characters long here; this one has {}",
            name.chars().count()
        )
    } else if let Some(odd) = name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !"_-.".contains(*c))
    {
        format!(
            "a tool's name must consist of `A-Z a-z 0-9 _ - .`; this one has `{}`",
            odd.escape_default()
        )
    } else {
        return Ok(());
    };
    Err(syn::Error::new_spanned(tokens, message))
}

/// `build_all` to `BuildAll`, followed by `suffix`.
pub(crate) fn type_name(function: &Ident, suffix: &str) -> Ident {
    let mut name = String::new();
    for word in function.unraw().to_string().split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(letters.as_str());
    }
    name.push_str(suffix);
    // The function's own span: it is the function that editors should find.
    Ident::new(&name, function.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_are_upper_camel_case() {
        for (function, expected) in [
            ("build", "BuildTool"),
            ("build_all", "BuildAllTool"),
            ("r#type", "TypeTool"),
            ("_private__name_", "PrivateNameTool"),
            ("größe", "GrößeTool"),
            ("step2_x", "Step2XTool"),
        ] {
            let function: Ident = syn::parse_str(function).expect("an identifier");
            assert_eq!(type_name(&function, "Tool").to_string(), expected);
        }
    }

    #[test]
    fn names_that_clients_see_are_plain() {
        let check = |name: &str, longest| check_name(name, longest, quote::quote!(x)).is_ok();
        assert!(check("Build-it.v2_x", 100));
        assert!(check(&"x".repeat(100), 100));
        assert!(!check(&"x".repeat(101), 100));
        for bad in ["", "a b", "größe", "a/b", "a\n"] {
            assert!(!check(bad, 100), "{bad:?}");
        }
    }
}
