//! The names of namespaces, as keys have them.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::error::failed;
use super::link::Link;
use crate::store::StoreError;

/// What the keys of a namespace begin with. In braces there is what decides
/// which slot of a cluster they are in; it must not be empty.
pub(super) fn base(prefix: &str, namespace: &str) -> String {
    let mut name = String::new();
    for character in namespace.chars() {
        match character {
            '{' | '}' | '%' => {
                // Writing to a string cannot fail.
                let _ = write!(name, "%{:02x}", u32::from(character));
            }
            _ => name.push(character),
        }
    }
    if name.is_empty() {
        name.push('%');
    }
    format!("{prefix}:{{{name}}}:")
}

/// The list of all tasks of a namespace, which is there while it has any.
const TASKS: &str = "la";

/// The namespaces that have tasks. Nobody keeps a list of them: no script could
/// write it where the namespaces of a cluster are in other slots, programs of an
/// older version would not, and what is only asked by operators may take a
/// while. The server serves others between two pages.
pub(super) async fn with_tasks(link: &Link, prefix: &str) -> Result<BTreeSet<String>, StoreError> {
    let pattern = format!("{}:{{*}}:{TASKS}", literally(prefix));
    let keys = link.scan(&pattern).await.map_err(failed)?;
    let names = keys.iter().filter_map(|key| namespace_of(prefix, key));
    Ok(names.collect())
}

/// The namespace of a list of all tasks.
fn namespace_of(prefix: &str, key: &str) -> Option<String> {
    let name = key.strip_prefix(prefix)?.strip_prefix(":{")?;
    let name = name.strip_suffix(TASKS)?.strip_suffix("}:")?;
    if name == "%" {
        return Some(String::new());
    }
    // Another key, whose own name has what this one's ends with.
    if name.contains(['{', '}']) {
        return None;
    }
    let name = name.replace("%7b", "{").replace("%7d", "}");
    Some(name.replace("%25", "%"))
}

/// Text as the pattern that nothing else is like.
fn literally(text: &str) -> String {
    text.chars().fold(String::new(), |mut pattern, character| {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
        pattern
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_namespace_has_a_tag_of_its_own() {
        for (namespace, expected) in [
            ("default", "p:{default}:"),
            ("", "p:{%}:"),
            ("%", "p:{%25}:"),
            ("%7b", "p:{%257b}:"),
            ("a}{b", "p:{a%7d%7bb}:"),
            ("ü:*?[", "p:{ü:*?[}:"),
        ] {
            let base = base("p", namespace);
            assert_eq!(base, expected);
            let found = namespace_of("p", &format!("{base}la"));
            assert_eq!(found.as_deref(), Some(namespace));
        }
        for other in [
            "p:{a}:lt:}:la",
            "p:{a}:seq",
            "q:{a}:la",
            "p:a:la",
            "p:{a:la",
        ] {
            assert_eq!(namespace_of("p", other), None, "{other}");
        }
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(literally(r"a*b?[c]\d-é"), r"a\*b\?\[c\]\\d-é");
    }
}
