//! The keys that a job type adds, checked by the schema that its plugin
//! exports. Never knows a job type by name.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Map, Value};

use crate::fields::{Fields, camel_case};
use crate::problem::Location;
use crate::tree::Entry;

/// Takes a type's own keys out of a job, and reports what the schema refuses.
pub(crate) fn take(fields: &mut Fields<'_>, schema: &Value) -> Map<String, Value> {
    let names: Vec<String> = schema["properties"]
        .as_object()
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default();
    let mut configuration = Map::new();
    let mut places: Vec<(String, &Entry)> = Vec::new();
    for entry in fields.rest() {
        let camel = camel_case(&entry.key);
        let Some(name) = names
            .iter()
            .find(|name| **name == entry.key || **name == camel)
        else {
            fields.unknown(entry, &names);
            continue;
        };
        if let Some((_, first)) = places.iter().find(|(known, _)| known == name) {
            crate::tree::duplicate(
                fields.problems,
                &entry.key,
                entry.key_place,
                first.key_place,
            );
            continue;
        }
        configuration.insert(name.clone(), entry.value.to_json());
        places.push((name.clone(), entry));
    }
    check(fields, schema, &configuration, &places);
    configuration
}

fn check(
    fields: &Fields<'_>,
    schema: &Value,
    configuration: &Map<String, Value>,
    places: &[(String, &Entry)],
) {
    // A plugin's schema is checked when the plugin is loaded.
    let Ok(validator) = jsonschema::validator_for(schema) else {
        return;
    };
    let instance = Value::Object(configuration.clone());
    for error in validator.iter_errors(&instance) {
        let pointer = error.instance_path().to_string();
        let key = pointer.split('/').nth(1).unwrap_or_default();
        let place: Location = places
            .iter()
            .find(|(name, _)| name == key)
            .map_or(fields.place, |(_, entry)| entry.value.place);
        let (code, pointer, message) = sentence(&error, &pointer);
        fields.problems.error(code, &pointer, place, message, None);
    }
}

fn sentence(
    error: &jsonschema::ValidationError<'_>,
    pointer: &str,
) -> (&'static str, String, String) {
    let name = pointer.rsplit('/').next().unwrap_or(pointer);
    let found = error.instance();
    let at = |code, message: String| (code, pointer.to_owned(), message);
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            (
                "missing_key",
                format!("{pointer}/{property}"),
                format!("`{property}` is missing"),
            )
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(plain)
                .collect();
            let options = options.join(", ");
            let found = plain(found);
            at(
                "not_allowed",
                format!("`{name}` is `{found}`, but must be one of: {options}"),
            )
        }
        ValidationErrorKind::Type { kind } => {
            let hint = if found.is_string() {
                ""
            } else {
                "; put text in quotes"
            };
            let expected = expected(kind);
            at("wrong_type", format!("`{name}` must be {expected}{hint}"))
        }
        ValidationErrorKind::MinLength { .. } | ValidationErrorKind::Pattern { .. }
            if found.as_str().is_some_and(|text| text.trim().is_empty()) =>
        {
            at("empty", format!("`{name}` must not be empty"))
        }
        _ => at("not_allowed", format!("`{name}`: {error}")),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn expected(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => format!("a {kind}"),
        TypeKind::Multiple(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(|kind| kind.to_string()).collect();
            format!("one of {}", kinds.join(", "))
        }
    }
}
