//! Schemas of answers to questions: the flat objects that MCP's elicitation
//! allows (specification 2025-11-25, client/elicitation).

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value, json};

use super::{object, without_number_format};

/// Longest schema, in bytes of JSON: it is in every snapshot while the question
/// is open.
const LONGEST: usize = 8 * 1024;
/// The formats of strings that elicitation knows; what another one means is
/// for the type to check.
const FORMATS: [&str; 4] = ["email", "uri", "date", "date-time"];

/// The schema of an answer of this type; what is wrong with the type, if it
/// has none that the protocol allows.
pub(crate) fn of_answer<T: JsonSchema>() -> Result<Value, String> {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .for_deserialize()
        .into_generator();
    let mut schema = generator.root_schema_for::<T>();
    RecursiveTransform(without_number_format).transform(&mut schema);
    let mut schema = object(schema.to_value());
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(format!(
            "an answer must be a struct with named fields, which `{}` is not",
            T::schema_name()
        ));
    }
    for noise in ["$schema", "title"] {
        schema.remove(noise);
    }
    let properties = schema
        .entry("properties")
        .or_insert_with(|| json!({}))
        .as_object_mut();
    for (name, property) in properties.into_iter().flatten() {
        let flat = property.as_object_mut().is_some_and(flatten);
        if !flat {
            return Err(format!(
                "the field `{name}` of the answer `{}` is no string, number, boolean or enum of \
                 strings, and MCP's elicitation allows no other",
                T::schema_name()
            ));
        }
    }
    let schema = Value::Object(schema);
    if schema.to_string().len() > LONGEST {
        return Err(format!(
            "the schema of the answer `{}` is longer than {LONGEST} bytes; say less in its \
             documentation",
            T::schema_name()
        ));
    }
    Ok(schema)
}

/// Writes a property as elicitation has it; whether it can be written so.
fn flatten(property: &mut Map<String, Value>) -> bool {
    without_null(property);
    if let Some(Value::Array(options)) = property.get("oneOf") {
        let Some(titled) = options
            .iter()
            .map(titled)
            .collect::<Option<Vec<Vec<Value>>>>()
        else {
            return false;
        };
        property.insert("oneOf".into(), Value::Array(titled.concat()));
        property.insert("type".into(), "string".into());
    }
    let format = property.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| !FORMATS.contains(&format)) {
        property.remove("format");
    }
    let combined = ["anyOf", "allOf", "$ref"]
        .iter()
        .any(|keyword| property.contains_key(*keyword));
    let kind = property.get("type").and_then(Value::as_str);
    !combined && matches!(kind, Some("string" | "number" | "integer" | "boolean"))
}

/// A field that may be left out is one that is not required.
fn without_null(property: &mut Map<String, Value>) {
    if let Some(Value::Array(options)) = property.get_mut("anyOf") {
        options.retain(|option| option.get("type").and_then(Value::as_str) != Some("null"));
        if let [Value::Object(only)] = options.as_slice() {
            let only = only.clone();
            property.remove("anyOf");
            for (keyword, value) in only {
                property.entry(keyword).or_insert(value);
            }
        }
    }
    if let Some(Value::Array(kinds)) = property.get_mut("type") {
        kinds.retain(|kind| kind.as_str() != Some("null"));
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            property.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = property.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if property.get("default").is_some_and(Value::is_null) {
        property.remove("default");
    }
}

/// Values of an enum with documented variants: one of those, or all others.
fn titled(option: &Value) -> Option<Vec<Value>> {
    if let Some(Value::Array(values)) = option.get("enum") {
        let titled = |value: &Value| {
            let value = value.as_str()?;
            Some(json!({"const": value, "title": value}))
        };
        return values.iter().map(titled).collect();
    }
    let value = option.get("const")?.as_str()?;
    let title = option.get("description")?.as_str()?;
    Some(vec![json!({"const": value, "title": title})])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_struct_is_what_elicitation_allows() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema counts")]
        enum Plain {
            One,
            Two,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema counts")]
        enum Documented {
            /// The first.
            One,
            Two,
        }
        /// What to do.
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema counts")]
        struct Flat {
            /// Go on?
            approved: bool,
            comment: Option<String>,
            #[schemars(range(min = 1, max = 5))]
            count: u32,
            ratio: f64,
            plain: Plain,
            maybe: Option<Plain>,
            documented: Documented,
        }
        let schema = of_answer::<Flat>().expect("flat");
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "description": "What to do.",
                "properties": {
                    "approved": {"type": "boolean", "description": "Go on?"},
                    "comment": {"type": "string"},
                    "count": {"type": "integer", "minimum": 1, "maximum": 5},
                    "ratio": {"type": "number"},
                    "plain": {"type": "string", "enum": ["One", "Two"]},
                    "maybe": {"type": "string", "enum": ["One", "Two"]},
                    "documented": {"type": "string", "oneOf": [
                        {"const": "Two", "title": "Two"},
                        {"const": "One", "title": "The first."},
                    ]},
                },
                "required": ["approved", "count", "ratio", "plain", "documented"],
            })
        );
    }

    #[test]
    fn what_is_nested_is_refused_by_name() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema counts")]
        struct Nested {
            inner: Vec<String>,
        }
        let problem = of_answer::<Nested>().expect_err("nested");
        assert!(
            problem.contains("the field `inner` of the answer `Nested`"),
            "{problem}"
        );
        let problem = of_answer::<String>().expect_err("no struct");
        assert!(problem.contains("struct with named fields"), "{problem}");
    }
}
