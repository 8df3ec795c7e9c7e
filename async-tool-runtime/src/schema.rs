//! JSON schemas of a tool's arguments and result (JSON Schema 2020-12).

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

use crate::progress::shortened;
use crate::refusal::Problem;

mod alternatives;
mod answer;
mod wide;

pub(crate) use answer::of_answer;
pub(crate) use wide::wide_integers;

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
    let settings =
        SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_number_format));
    let input = settings
        .clone()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<I>();
    let mut generator = settings.for_serialize().into_generator();
    let mut output = generator.subschema_for::<O>();
    // A generator transforms definitions and whole documents only.
    RecursiveTransform(without_number_format).transform(&mut output);
    let mut output = output.to_value();
    let mut output_defs = generator.take_definitions(true);
    inline(&mut output, &mut output_defs);
    ToolSchemas {
        input: object(input.to_value()),
        output,
        output_defs,
    }
}

/// Puts a definition in the place of a schema that is nothing but a reference
/// to it, unless it is needed elsewhere, as that of a recursive type is.
fn inline(schema: &mut Value, defs: &mut Map<String, Value>) {
    let Some(name) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix("#/$defs/"))
        .map(str::to_owned)
    else {
        return;
    };
    let needed = Value::Object(defs.clone())
        .to_string()
        .contains(&format!("\"#/$defs/{name}\""));
    if schema.as_object().is_some_and(|schema| schema.len() == 1)
        && !needed
        && let Some(definition) = defs.remove(&name)
    {
        *schema = definition;
    }
}

/// Takes out `"format": "uint64"` and its like: they are no formats of JSON
/// Schema, the range says the same, and every byte is read by a model. Those
/// that no server publishes stay, to be found.
fn without_number_format(schema: &mut Schema) {
    let is_wide = schema
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| wide::FORMATS.contains(&format));
    if !is_wide && schema.as_object().is_some_and(is_number) {
        schema.remove("format");
    }
}

fn is_number(schema: &Map<String, Value>) -> bool {
    let of_numbers = ["integer", "number"];
    match schema.get("type") {
        Some(Value::String(name)) => of_numbers.contains(&name.as_str()),
        Some(Value::Array(names)) => names
            .iter()
            .any(|name| name.as_str().is_some_and(|name| of_numbers.contains(&name))),
        _ => false,
    }
}

/// A schema as an object; `true` allows everything as `{}` does.
fn object(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Most problems that one refusal reports.
const MAX_PROBLEMS: usize = 8;

/// A schema, compiled once, that says what is wrong with a value.
pub(crate) struct Checker {
    validator: Validator,
    schema: Value,
}

impl Checker {
    /// Compiles a schema.
    pub(crate) fn new(schema: Value) -> Result<Self, String> {
        let validator = jsonschema::draft202012::options()
            .build(&schema)
            .map_err(|error| error.to_string())?;
        Ok(Self { validator, schema })
    }

    /// Whether a value conforms; what is wrong with it, if not. The messages
    /// never quote the value: it may be secret, or long.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Vec<Problem>> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        Err(self
            .validator
            .iter_errors(value)
            .flat_map(|error| self.problems(&error))
            .take(MAX_PROBLEMS)
            .collect())
    }

    fn problems(&self, error: &ValidationError<'_>) -> Vec<Problem> {
        let message = match error.kind() {
            ValidationErrorKind::AnyOf { context }
            | ValidationErrorKind::OneOfNotValid { context } => {
                return self.alternatives(error, context);
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let known = self.known_properties(error.schema_path().as_str());
                let texts: Vec<String> = unexpected
                    .iter()
                    .take(MAX_PROBLEMS)
                    .map(|name| unknown_property(name, &known))
                    .collect();
                texts.join("; ")
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                format!("the property `{name}` is required")
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<&Value> = options.as_array().into_iter().flatten().collect();
                one_of(&options, error.instance())
            }
            ValidationErrorKind::Constant { expected_value } => format!("must be {expected_value}"),
            ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
            ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
            ValidationErrorKind::ExclusiveMinimum { limit } => {
                format!("must be more than {limit}")
            }
            ValidationErrorKind::ExclusiveMaximum { limit } => {
                format!("must be less than {limit}")
            }
            ValidationErrorKind::Pattern { pattern } => {
                format!("must match the pattern {pattern}")
            }
            _ => error.masked_with("the value").to_string(),
        };
        vec![Problem::new(error.instance_path().to_string(), message)]
    }

    /// The properties beside the `additionalProperties` at this place of the
    /// schema.
    fn known_properties(&self, keyword: &str) -> Vec<&str> {
        let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.schema
            .pointer(parent)
            .and_then(|schema| schema.get("properties"))
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }
}

/// The one of some names that a wrong one was probably meant to be.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const SIMILAR: f64 = 0.7;
    /// Comparing costs time, and what a caller sends may be long.
    const LONGEST: usize = 200;
    if name.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, nearest)| nearest)
}

fn one_of(allowed: &[&Value], value: &Value) -> String {
    let texts: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let mut message = format!("must be one of [{}]", texts.join(","));
    let names = allowed.iter().filter_map(|value| value.as_str());
    if let Some(nearest) = value.as_str().and_then(|value| nearest(value, names)) {
        message.push_str(&format!("; did you mean {nearest:?}?"));
    }
    message
}

fn unknown_property(name: &str, known: &[&str]) -> String {
    let shown = shortened(name.to_owned(), 60);
    match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("unknown property `{shown}`; did you mean `{nearest}`?"),
        None if known.is_empty() => format!("unknown property `{shown}`; none is allowed here"),
        None => format!(
            "unknown property `{shown}`; known are {}",
            known
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
