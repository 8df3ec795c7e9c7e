//! Names of environments and services.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The name of an environment or of a service.
///
/// It becomes a directory: nothing that it may hold leads elsewhere, hides a
/// file, or is the same as another name where case does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Name(String);

/// Why a text is no name.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no name: 1 to {max} of a-z, 0-9 and `-` are, beginning with none of the latter",
    max = Name::MAX
)]
pub(crate) struct InvalidName(String);

impl Name {
    /// Longest name, in characters.
    const MAX: usize = 63;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let sound = (1..=Self::MAX).contains(&name.len())
            && name.bytes().all(allowed)
            && !name.starts_with('-');
        if sound {
            Ok(Self(name))
        } else {
            Err(InvalidName(name.chars().take(Self::MAX).collect()))
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says the rule in the schema, so that it is part of what a caller reads and
/// a call that breaks it is refused before it becomes a task.
impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9-]*$",
            "maxLength": Self::MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        let longest = "x".repeat(63);
        for name in ["web", "a", "7", "web-2", "a-", &longest] {
            assert_eq!(Name::try_from(name.to_owned()).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_name() {
        let too_long = "x".repeat(64);
        for name in [
            "", ".", "..", "../web", "a/b", "/web", "a\\b", ".web", "-web", "Web", "we b", "web\n",
            "web\0", "wéb", "web.", "a..b", &too_long,
        ] {
            assert!(Name::try_from(name.to_owned()).is_err(), "{name:?}");
            let json = serde_json::to_string(name).unwrap();
            assert!(serde_json::from_str::<Name>(&json).is_err(), "{name:?}");
        }
    }
}
