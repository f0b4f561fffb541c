//! What a schema refuses, in sentences with the place in the job's text. Never
//! repeats a value at length: it may be a whole script.

use std::collections::BTreeMap;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Refusal};
use serde_json::Value;

use crate::fields::{Taken, unknown};
use crate::notes::{Notes, below};
use crate::tree::{Kind, Node};
use crate::wording::{did_you_mean, nearest, shown, shown_up_to};

/// How deep alternatives within alternatives are explained.
const DEEPEST: usize = 4;
/// How much of the validator's own words is repeated, in characters.
const WORDS: usize = 200;

/// Turns errors of a validator into problems of a job.
pub(crate) struct Explainer<'a> {
    pub(crate) notes: &'a Notes,
    pub(crate) root: &'a Node,
    /// The schema of the type's own keys.
    pub(crate) schema: &'a Value,
    /// The type's own keys that the job has, by today's spelling.
    pub(crate) given: &'a BTreeMap<&'a str, Taken<'a>>,
}

impl Explainer<'_> {
    /// Reports one error.
    pub(crate) fn explain(&self, error: &ValidationError<'_>) {
        self.explain_within(error, DEEPEST);
    }

    fn explain_within(&self, error: &ValidationError<'_>, depth: usize) {
        let pointer = self.pointer(error);
        match error.kind() {
            Refusal::Required { property } => {
                self.missing(error, &pointer, property.as_str().unwrap_or_default());
            }
            Refusal::AdditionalProperties { unexpected }
            | Refusal::UnevaluatedProperties { unexpected } => {
                self.unexpected(error, &pointer, unexpected);
            }
            Refusal::AnyOf { context } | Refusal::OneOfNotValid { context } if depth > 0 => {
                self.alternatives(error, &pointer, context, depth);
            }
            _ => {
                let (code, message) = sentence(error, &named(&pointer));
                let hint = self.hint(error).filter(|_| code != "empty");
                self.report(code, &pointer, message, hint);
            }
        }
    }

    /// The pointer into the text, with keys as they are spelled there.
    fn pointer(&self, error: &ValidationError<'_>) -> String {
        let path = error.instance_path().to_string();
        let Some(rest) = path.strip_prefix('/') else {
            return String::new();
        };
        let (first, rest) = match rest.split_once('/') {
            Some((first, rest)) => (first, format!("/{rest}")),
            None => (rest, String::new()),
        };
        let name = first.replace("~1", "/").replace("~0", "~");
        self.given
            .get(name.as_str())
            .map_or(path, |taken| format!("{}{rest}", taken.pointer))
    }

    fn report(&self, code: &'static str, pointer: &str, message: String, hint: Option<String>) {
        let place = self.root.innermost(pointer).place;
        self.notes.error(code, pointer, place, message, hint);
    }

    fn missing(&self, error: &ValidationError<'_>, pointer: &str, property: &str) {
        if pointer.is_empty()
            && let Some(taken) = self.given.get(property)
        {
            return taken.empty();
        }
        let own = self
            .siblings(error)
            .and_then(|properties| properties.get(property));
        let top = pointer
            .is_empty()
            .then(|| &self.schema["properties"][property]);
        let about = own
            .or(top)
            .and_then(|schema| schema["description"].as_str());
        let hint = about.map(|about| shown_up_to(about, WORDS));
        let message = format!("`{}` is missing", shown(property));
        self.report("missing_key", &below(pointer, property), message, hint);
    }

    fn unexpected(&self, error: &ValidationError<'_>, pointer: &str, keys: &[String]) {
        let known: Vec<&str> = self
            .siblings(error)
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let mapping = self.root.innermost(pointer);
        for key in keys {
            let place = mapping.key_place(key).unwrap_or(mapping.place);
            unknown(self.notes, &below(pointer, key), key, place, known.clone());
        }
    }

    /// None of several forms fits: tells what is wrong with the likeliest.
    fn alternatives(
        &self,
        error: &ValidationError<'_>,
        pointer: &str,
        context: &[Vec<ValidationError<'static>>],
        depth: usize,
    ) {
        let here = error.instance_path().to_string();
        let wrong_kind = |errors: &Vec<ValidationError<'static>>| {
            errors.iter().find_map(|inner| match inner.kind() {
                Refusal::Type { kind } if inner.instance_path().to_string() == here => {
                    Some(kinds(kind))
                }
                _ => None,
            })
        };
        let likely = context.iter().filter(|errors| wrong_kind(errors).is_none());
        if let Some(errors) = likely.min_by_key(|errors| errors.len()) {
            return errors
                .iter()
                .for_each(|inner| self.explain_within(inner, depth - 1));
        }
        let mut wanted: Vec<String> = context.iter().filter_map(wrong_kind).flatten().collect();
        wanted.dedup();
        let found = self.root.innermost(pointer).kind.name();
        let message = format!(
            "{} must be {}, not {found}",
            named(pointer),
            wanted.join(" or ")
        );
        self.report("wrong_type", pointer, message, self.hint(error));
    }

    /// The `properties` beside the keyword that refused.
    fn siblings(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let path = error.schema_path().to_string();
        let (parent, _) = path.rsplit_once('/')?;
        self.schema.pointer(parent)?.get("properties")
    }

    fn hint(&self, error: &ValidationError<'_>) -> Option<String> {
        let found = self.root.innermost(&self.pointer(error));
        match error.kind() {
            Refusal::Type { kind } if kinds(kind) == ["text"] => {
                let scalar = matches!(found.kind, Kind::Number(_) | Kind::Bool(_));
                return scalar.then(|| "put it in quotes".to_owned());
            }
            Refusal::Enum { options } => {
                let words: Vec<&str> = options
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                if let Kind::Text(text) = &found.kind
                    && let Some(meant) = nearest(text, words)
                {
                    return Some(did_you_mean(meant));
                }
            }
            _ => {}
        }
        let path = error.schema_path().to_string();
        let (parent, _) = path.rsplit_once('/')?;
        let about = self.schema.pointer(parent)?.get("description")?.as_str()?;
        Some(shown_up_to(about, WORDS))
    }
}

fn sentence(error: &ValidationError<'_>, name: &str) -> (&'static str, String) {
    let found = error.instance();
    let blank = found.as_str().is_some_and(|text| text.trim().is_empty());
    match error.kind() {
        Refusal::MinLength { .. } | Refusal::Pattern { .. } if blank => {
            ("empty", format!("{name} must not be empty"))
        }
        Refusal::Enum { options } => {
            let options: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(plain)
                .collect();
            let found = plain(found);
            (
                "not_allowed",
                format!(
                    "{name} is `{found}`, but must be one of: {}",
                    options.join(", ")
                ),
            )
        }
        Refusal::Constant { expected_value } => (
            "not_allowed",
            format!("{name} must be `{}`", plain(expected_value)),
        ),
        Refusal::Type { kind } => {
            let found = kind_of(found);
            (
                "wrong_type",
                format!("{name} must be {}, not {found}", kinds(kind).join(" or ")),
            )
        }
        Refusal::Minimum { limit } => ("out_of_range", format!("{name} must be at least {limit}")),
        Refusal::Maximum { limit } => ("out_of_range", format!("{name} must be at most {limit}")),
        Refusal::ExclusiveMinimum { limit } => {
            ("out_of_range", format!("{name} must be more than {limit}"))
        }
        Refusal::ExclusiveMaximum { limit } => {
            ("out_of_range", format!("{name} must be less than {limit}"))
        }
        Refusal::MinLength { limit } => (
            "out_of_range",
            format!("{name} must have at least {limit} characters"),
        ),
        Refusal::MaxLength { limit } => (
            "out_of_range",
            format!("{name} must have at most {limit} characters"),
        ),
        Refusal::MinItems { limit } => (
            "out_of_range",
            format!("{name} must have at least {limit} entries"),
        ),
        Refusal::MaxItems { limit } => (
            "out_of_range",
            format!("{name} must have at most {limit} entries"),
        ),
        Refusal::UniqueItems => ("not_allowed", format!("{name} has an entry twice")),
        Refusal::Pattern { pattern } => {
            let pattern = shown(pattern);
            (
                "not_allowed",
                format!("{name} does not have the form that it must have: `{pattern}`"),
            )
        }
        Refusal::FalseSchema => ("not_allowed", format!("{name} is not allowed here")),
        _ => {
            let words = shown_up_to(&error.masked().to_string(), WORDS);
            (
                "not_allowed",
                format!("{name} is not as it must be: {words}"),
            )
        }
    }
}

/// What a pointer leads to, for a sentence.
fn named(pointer: &str) -> String {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return "the job".to_owned();
    };
    match name.parse::<usize>() {
        Ok(index) if !parent.is_empty() => format!("entry {} of {}", index + 1, named(parent)),
        _ => format!("`{}`", shown(&name.replace("~1", "/").replace("~0", "~"))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        _ => shown(&value.to_string()),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

fn kinds(kind: &TypeKind) -> Vec<String> {
    let words = |kind: &str| match kind {
        "null" => "nothing".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "string" => "text".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "a mapping".to_owned(),
        other => other.to_owned(),
    };
    match kind {
        TypeKind::Single(kind) => vec![words(&kind.to_string())],
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| words(&kind.to_string())).collect(),
    }
}
