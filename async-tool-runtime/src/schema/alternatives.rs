//! What is wrong with a value that fits none of several alternatives: the
//! enums of Rust become `oneOf` and `anyOf` unless they are mere names.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::{Checker, one_of, unknown_property};
use crate::refusal::Problem;

/// How deep references and alternatives within alternatives are followed: a
/// type may be recursive.
const DEPTH: usize = 8;

static NULL: Value = Value::Null;

/// What tells an alternative from the others.
enum Mark<'a> {
    /// It is one of these values.
    Constants(Vec<&'a Value>),
    /// It is an object in which this property has this value.
    Tag(&'a str, &'a Value),
    /// It is an object with this one property.
    Key(&'a str),
    /// Nothing but its type.
    Type,
}

impl Checker {
    /// What is wrong with the value of this error, whose `context` has the
    /// errors of each alternative.
    ///
    /// The errors of all alternatives together would say mostly what the value
    /// was never meant to be, so this reports those of the one that was meant.
    pub(super) fn alternatives(
        &self,
        error: &ValidationError<'_>,
        context: &[Vec<ValidationError<'static>>],
    ) -> Vec<Problem> {
        let path = error.instance_path().as_str();
        let value = error.instance().as_ref();
        let schemas = self
            .schema
            .pointer(error.schema_path().as_str())
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let marks: Vec<Mark<'_>> = schemas.iter().map(|schema| self.mark(schema)).collect();
        let meant = marks
            .iter()
            .zip(context)
            .filter(|(mark, errors)| match mark {
                Mark::Constants(_) => false,
                Mark::Tag(name, tag) => value.get(name) == Some(tag),
                Mark::Key(name) => value.get(name).is_some(),
                Mark::Type => !errors.iter().any(|error| {
                    matches!(error.kind(), ValidationErrorKind::Type { .. })
                        && error.instance_path().as_str() == path
                }),
            })
            .min_by_key(|(mark, errors)| (matches!(mark, Mark::Type), errors.len()));
        match meant {
            Some((_, errors)) => errors
                .iter()
                .flat_map(|error| self.problems(error))
                .collect(),
            None => vec![self.none_meant(path, value, schemas, &marks)],
        }
    }

    /// Says what there is to choose from.
    fn none_meant(
        &self,
        path: &str,
        value: &Value,
        schemas: &[Value],
        marks: &[Mark<'_>],
    ) -> Problem {
        let constants: Vec<&Value> = marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Constants(constants) => Some(constants),
                _ => None,
            })
            .flatten()
            .copied()
            .collect();
        if marks.iter().all(|mark| matches!(mark, Mark::Constants(_))) {
            return Problem::new(path.to_owned(), one_of(&constants, value));
        }
        if let Some(object) = value.as_object() {
            let tag = marks.iter().find_map(|mark| match mark {
                Mark::Tag(name, _) => Some(*name),
                _ => None,
            });
            if let Some(tag) = tag {
                let tags: Vec<&Value> = marks
                    .iter()
                    .filter_map(|mark| match mark {
                        Mark::Tag(name, value) if *name == tag => Some(*value),
                        _ => None,
                    })
                    .collect();
                return match object.get(tag) {
                    Some(value) => Problem::new(
                        format!("{path}/{}", tag.replace('~', "~0").replace('/', "~1")),
                        one_of(&tags, value),
                    ),
                    None => Problem::new(
                        path.to_owned(),
                        format!(
                            "the property `{tag}` is required; it {}",
                            one_of(&tags, &NULL)
                        ),
                    ),
                };
            }
            let keys: Vec<&str> = marks
                .iter()
                .filter_map(|mark| match mark {
                    Mark::Key(name) => Some(*name),
                    _ => None,
                })
                .collect();
            if !keys.is_empty() {
                let message = match object.keys().next() {
                    Some(name) => unknown_property(name, &keys),
                    None => format!("needs one property of `{}`", keys.join("`, `")),
                };
                return Problem::new(path.to_owned(), message);
            }
        }
        let mut choices: Vec<String> = constants.iter().map(ToString::to_string).collect();
        for (schema, mark) in schemas.iter().zip(marks) {
            let choice = match mark {
                Mark::Constants(_) => continue,
                Mark::Tag(name, _) | Mark::Key(name) => {
                    format!("an object with the property `{name}`")
                }
                Mark::Type => match self.resolved(schema).get("type") {
                    Some(Value::String(name)) => format!("of type {name}"),
                    _ => continue,
                },
            };
            if !choices.contains(&choice) {
                choices.push(choice);
            }
        }
        let message = match choices.split_last() {
            Some((last, [])) => format!("must be {last}"),
            Some((last, others)) => format!("must be {} or {last}", others.join(", ")),
            None => "the value fits none of the alternatives".to_owned(),
        };
        Problem::new(path.to_owned(), message)
    }

    fn mark<'a>(&'a self, schema: &'a Value) -> Mark<'a> {
        if let Some(constants) = self.constants(schema, DEPTH) {
            return Mark::Constants(constants);
        }
        // A tag may stand beside the reference to what is tagged.
        [schema, self.resolved(schema)]
            .into_iter()
            .find_map(mark_of_object)
            .unwrap_or(Mark::Type)
    }

    /// The values that a schema allows, if it lists them.
    fn constants<'a>(&'a self, schema: &'a Value, depth: usize) -> Option<Vec<&'a Value>> {
        let depth = depth.checked_sub(1)?;
        let schema = self.resolved(schema);
        if let Some(constant) = schema.get("const") {
            return Some(vec![constant]);
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            return Some(options.iter().collect());
        }
        if schema.get("type").and_then(Value::as_str) == Some("null") {
            return Some(vec![&NULL]);
        }
        let alternatives = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
        let constants: Option<Vec<_>> = alternatives
            .as_array()?
            .iter()
            .map(|alternative| self.constants(alternative, depth))
            .collect();
        Some(constants?.into_iter().flatten().collect())
    }

    /// What a schema refers to, if it is in the same document.
    fn resolved<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        for _ in 0..DEPTH {
            let target = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix('#'))
                .and_then(|pointer| self.schema.pointer(pointer));
            match target {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }
}

fn mark_of_object(schema: &Value) -> Option<Mark<'_>> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    let tag = properties.iter().find_map(|(name, schema)| {
        let constant = schema.get("const")?;
        let is_required = required.iter().any(|required| required == name);
        is_required.then_some(Mark::Tag(name, constant))
    });
    tag.or_else(|| {
        let name = properties.keys().next()?;
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        (properties.len() == 1 && is_closed && required.iter().any(|required| required == name))
            .then_some(Mark::Key(name))
    })
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, schema_for};
    use serde_json::json;

    use super::*;

    fn wrong<T: JsonSchema>(value: &Value) -> String {
        let checker = Checker::new(schema_for!(T).to_value()).expect("a schema");
        let problems = checker.check(value).expect_err("refused");
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        texts.join("; ")
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Colour {
        /// Like blood.
        Red,
        /// Like grass.
        Green,
        Blue,
        White,
    }

    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Circle {
        radius: u8,
        colour: Option<Colour>,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase", tag = "kind")]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Tagged {
        Circle(Circle),
        Square { side: u8, angle: u8 },
        Dot,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase", tag = "t", content = "c")]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Adjacent {
        Circle(Circle),
        Number(u8),
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Keyed {
        /// The unit circle.
        Unit,
        Circle(Circle),
        Square {
            side: u8,
        },
    }

    #[derive(JsonSchema)]
    #[schemars(untagged)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Untagged {
        Number(u8),
        Circle(Circle),
        Square { side: u8, angle: u8 },
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Tree {
        weight: u8,
        child: Option<Box<Tree>>,
    }

    #[test]
    fn constants_are_listed() {
        let colours = r#"must be one of ["blue","white","red","green"]"#;
        assert_eq!(wrong::<Colour>(&json!("q")), colours);
        assert_eq!(wrong::<Colour>(&json!(7)), colours);
        assert_eq!(
            wrong::<Colour>(&json!("grene")),
            format!("{colours}; did you mean \"green\"?")
        );
        assert_eq!(
            wrong::<Option<Colour>>(&json!("q")),
            r#"must be one of ["blue","white","red","green",null]"#
        );
    }

    #[test]
    fn a_tag_tells_what_was_meant() {
        assert_eq!(
            wrong::<Tagged>(&json!({"kind": "square", "side": -1})),
            "the property `angle` is required; /side: must be at least 0"
        );
        assert_eq!(
            wrong::<Option<Tagged>>(&json!({"kind": "circle", "radius": 1, "colour": "q"})),
            r#"/colour: must be one of ["blue","white","red","green",null]"#
        );
        assert_eq!(
            wrong::<Tagged>(&json!({"kind": "sqare", "side": 1})),
            r#"/kind: must be one of ["circle","square","dot"]; did you mean "square"?"#
        );
        assert_eq!(
            wrong::<Tagged>(&json!({"side": 1})),
            r#"the property `kind` is required; it must be one of ["circle","square","dot"]"#
        );
        assert_eq!(
            wrong::<Tagged>(&json!(1)),
            "must be an object with the property `kind`"
        );
        assert_eq!(
            wrong::<Adjacent>(&json!({"t": "circle", "c": {"radius": 256}})),
            "/c/radius: must be at most 255"
        );
    }

    #[test]
    fn a_key_tells_what_was_meant() {
        assert_eq!(
            wrong::<Keyed>(&json!({"circle": {"radius": 256}})),
            "/circle/radius: must be at most 255"
        );
        assert_eq!(
            wrong::<Keyed>(&json!({"circel": {}})),
            "unknown property `circel`; did you mean `circle`?"
        );
        assert_eq!(
            wrong::<Keyed>(&json!({})),
            "needs one property of `circle`, `square`"
        );
        assert_eq!(
            wrong::<Keyed>(&json!("circle")),
            "must be \"unit\", an object with the property `circle` \
             or an object with the property `square`"
        );
    }

    #[test]
    fn otherwise_it_is_the_type_and_then_the_fewest_mistakes() {
        assert_eq!(wrong::<Untagged>(&json!(256)), "must be at most 255");
        assert_eq!(
            wrong::<Untagged>(&json!({"side": 1})),
            "the property `angle` is required"
        );
        assert_eq!(
            wrong::<Untagged>(&json!("x")),
            "must be of type integer or of type object"
        );
        assert_eq!(
            wrong::<Option<Circle>>(&json!({"radius": 1, "x": 1})),
            "unknown property `x`; known are `colour`, `radius`"
        );
        assert_eq!(
            wrong::<Tree>(&json!({"weight": 1, "child": {"weight": 1, "child": {}}})),
            "/child/child: the property `weight` is required"
        );
    }

    #[test]
    fn a_schema_without_end_is_followed_so_far_and_no_further() {
        let checker = Checker::new(json!({
            "anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}],
            "$defs": {"a": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/a"}, {"const": 1}]}}}
        }))
        .expect("a schema");
        let problems = checker.check(&json!([[2]])).expect_err("refused");
        assert_eq!(problems[0].to_string(), "/0/0: must be 1 or of type array");
    }
}
