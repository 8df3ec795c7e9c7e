//! JSON schemas of a tool's arguments and result (JSON Schema 2020-12).

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The schemas that a tool's types generate.
#[derive(Debug, Clone)]
pub(crate) struct ToolSchemas {
    /// Of the arguments, as they are read; definitions included.
    pub(crate) input: Map<String, Value>,
    /// Of the result, as it is written.
    pub(crate) output: Value,
    /// What the result's schema refers to as `#/$defs/NAME`.
    pub(crate) output_defs: Map<String, Value>,
}

/// Generates the schemas of a tool with these types.
pub(crate) fn of_tool<I: JsonSchema, O: JsonSchema>() -> ToolSchemas {
    let input = SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<I>();
    let mut generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let output = generator.subschema_for::<O>();
    let output_defs = generator.take_definitions(true);
    ToolSchemas {
        input: object(input.to_value()),
        output: output.to_value(),
        output_defs,
    }
}

/// A schema as an object; `true` allows everything as `{}` does.
fn object(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
