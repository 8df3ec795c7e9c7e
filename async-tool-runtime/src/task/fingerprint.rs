//! Telling whether two calls of a tool are the same call.

use std::fmt::{self, Write};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A digest of a tool's name and arguments as they were sent.
///
/// Keys are sorted; integers are exact and floats in their shortest form that
/// reads back the same; defaults are not filled in. (RFC 8785 would merge
/// integers above 2^53, so it is not used.)
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Version of the algorithm, stored beside each fingerprint: fingerprints
    /// of different versions say nothing about each other.
    pub const VERSION: u8 = 1;

    /// The fingerprint of a call.
    pub fn of(tool: &str, arguments: &Value) -> Self {
        let mut hasher = Sha256::new();
        hasher.update([Self::VERSION]);
        hasher.update(tool.as_bytes());
        hasher.update([0]);
        write_value(arguments, &mut hasher);
        Self(hasher.finalize().into())
    }

    /// A fingerprint that was stored.
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// As 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex()[..8])
    }
}

fn write_object(object: &Map<String, Value>, hasher: &mut Sha256) {
    // Another crate of the program may have turned on `preserve_order`.
    let mut keys: Vec<&String> = object.keys().collect();
    keys.sort_unstable();
    hasher.update(b"{");
    for key in keys {
        hasher.update(Value::from(key.as_str()).to_string());
        hasher.update(b":");
        write_value(&object[key], hasher);
        hasher.update(b",");
    }
    hasher.update(b"}");
}

fn write_value(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(object) => write_object(object, hasher),
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                write_value(item, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        scalar => hasher.update(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Fingerprint {
        Fingerprint::of("build", &serde_json::from_str(json).expect("JSON"))
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        assert_eq!(
            of(r#"{"a":1,"b":{"c":[1,2],"d":null}}"#),
            of(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#)
        );
    }

    #[test]
    fn every_other_difference_does() {
        let base = of(r#"{"a":[1,2]}"#);
        for other in [
            r#"{"a":[2,1]}"#,
            r#"{"a":["1",2]}"#,
            r#"{"a":[12]}"#,
            r#"{"a":[1,2],"b":null}"#,
            r#"{"b":[1,2]}"#,
            r#"{"a":[1.0,2]}"#,
        ] {
            assert_ne!(base, of(other), "{other}");
        }
        assert_ne!(
            of(r#"{"a":9007199254740993}"#),
            of(r#"{"a":9007199254740992}"#)
        );
        assert_ne!(
            Fingerprint::of("a", &Value::Null),
            Fingerprint::of("b", &Value::Null)
        );
    }
}
