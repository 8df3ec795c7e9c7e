//! Integers that JSON, as it is read here and in most other places, does not
//! carry: above 64 bits they become floating-point numbers, and nobody says so.

use std::collections::HashSet;

use serde_json::Value;

/// What schemars calls them.
pub(super) const FORMATS: [&str; 2] = ["int128", "uint128"];

/// An integer of 128 bits in a schema.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WideInteger {
    /// The properties on the way to it, with dots between; empty if it is the
    /// whole.
    pub(crate) property: String,
    pub(crate) format: &'static str,
}

/// All of them in a schema, definitions that it refers to included.
pub(crate) fn wide_integers(schema: &Value) -> Vec<WideInteger> {
    let mut search = Search {
        document: schema,
        followed: HashSet::new(),
        found: Vec::new(),
    };
    search.schema(schema, "");
    search.found
}

struct Search<'a> {
    document: &'a Value,
    /// Types may be recursive, and one place of each definition is enough.
    followed: HashSet<&'a str>,
    found: Vec<WideInteger>,
}

impl<'a> Search<'a> {
    fn schema(&mut self, schema: &'a Value, property: &str) {
        match schema {
            Value::Array(schemas) => {
                for schema in schemas {
                    self.schema(schema, property);
                }
            }
            Value::Object(keywords) => {
                let given = keywords.get("format").and_then(Value::as_str);
                let format = FORMATS.into_iter().find(|format| given == Some(format));
                if let (Some(format), true) = (format, super::is_number(keywords)) {
                    self.found.push(WideInteger {
                        property: property.to_owned(),
                        format,
                    });
                }
                for (keyword, value) in keywords {
                    self.keyword(keyword, value, property);
                }
            }
            _ => {}
        }
    }

    fn keyword(&mut self, keyword: &str, value: &'a Value, property: &str) {
        match keyword {
            "$ref" => {
                let target = value
                    .as_str()
                    .filter(|reference| self.followed.insert(reference))
                    .and_then(|reference| reference.strip_prefix('#'))
                    .and_then(|pointer| self.document.pointer(pointer));
                if let Some(target) = target {
                    self.schema(target, property);
                }
            }
            "properties" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    let property = match property {
                        "" => name.clone(),
                        _ => format!("{property}.{name}"),
                    };
                    self.schema(schema, &property);
                }
            }
            "patternProperties" => {
                for schema in value.as_object().into_iter().flat_map(|map| map.values()) {
                    self.schema(schema, property);
                }
            }
            // Looked into where they are referred to; and values are no schemas.
            "$defs" | "const" | "enum" | "default" | "examples" => {}
            _ => self.schema(value, property),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;
    use crate::schema::of_tool;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Arguments {
        plain: u128,
        small: u64,
        maybe: Option<i128>,
        list: Vec<std::num::NonZeroU128>,
        by_name: BTreeMap<String, u128>,
        by_number: BTreeMap<u64, u128>,
        deep: Vec<Deep>,
        text: Text,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Deep {
        either: Either,
        again: Vec<Deep>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Either {
        Text(String),
        Number { value: u128 },
    }

    #[derive(JsonSchema)]
    #[schemars(extend("format" = "uint128"))]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Text(String);

    #[test]
    fn they_are_found_wherever_they_are() {
        let schemas = of_tool::<Arguments, u128>();
        let found = wide_integers(&Value::Object(schemas.input));
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|wide| (wide.property.as_str(), wide.format))
            .collect();
        assert_eq!(
            found,
            [
                ("by_name", "uint128"),
                ("by_number", "uint128"),
                ("deep.either.Number.value", "uint128"),
                ("list", "uint128"),
                ("maybe", "int128"),
                ("plain", "uint128"),
            ]
        );
        assert_eq!(
            wide_integers(&schemas.output),
            [WideInteger {
                property: String::new(),
                format: "uint128"
            }]
        );
    }

    #[test]
    fn values_are_no_schemas() {
        let schema = json!({"default": {"type": "integer", "format": "uint128"}});
        assert_eq!(wide_integers(&schema), []);
    }
}
