//! The keys that a job type adds, checked by the schema that its plugin
//! exports. Never knows a job type by name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::fields::{Fields, Taken};
use crate::job_type::JobTypeSchema;
use crate::schema_error::Explainer;
use crate::tree::{Kind, Node};
use crate::wording::shown_up_to;

/// How deep `allOf`, `then` and the like are searched for keys.
const DEEPEST: usize = 8;

/// Takes a type's own keys out of a job, and reports what the schema refuses.
pub(crate) fn take<'a>(
    fields: &mut Fields<'a>,
    root: &'a Node,
    job_type: &'a JobTypeSchema,
) -> Map<String, Value> {
    let mut configuration = Map::new();
    let mut given = BTreeMap::new();
    for key in keys(job_type.schema()) {
        let Some(taken) = fields.find(key, &[]) else {
            continue;
        };
        // A key with nothing behind it is as good as left out.
        if taken.node.kind != Kind::Null {
            configuration.insert(key.to_owned(), taken.node.to_json());
        }
        given.insert(key, taken);
    }
    for entry in fields.rest() {
        fields.unknown(entry, &[]);
    }
    check(fields, root, job_type, &configuration, &given);
    configuration
}

/// The keys that a schema names for its object, each once.
pub(crate) fn keys(schema: &Value) -> Vec<&str> {
    let mut keys = Vec::new();
    collect(schema, DEEPEST, &mut keys);
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn collect<'a>(schema: &'a Value, depth: usize, keys: &mut Vec<&'a str>) {
    if depth == 0 {
        return;
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        keys.extend(properties.keys().map(String::as_str));
    }
    for applicator in ["allOf", "anyOf", "oneOf"] {
        let parts = schema.get(applicator).and_then(Value::as_array);
        parts
            .into_iter()
            .flatten()
            .for_each(|part| collect(part, depth - 1, keys));
    }
    for applicator in ["then", "else"] {
        schema
            .get(applicator)
            .into_iter()
            .for_each(|part| collect(part, depth - 1, keys));
    }
}

fn check<'a>(
    fields: &Fields<'a>,
    root: &'a Node,
    job_type: &'a JobTypeSchema,
    configuration: &Map<String, Value>,
    given: &BTreeMap<&'a str, Taken<'a>>,
) {
    let schema = job_type.schema();
    let validator = match job_type.validator() {
        Ok(validator) => validator,
        Err(error) => {
            let reason = shown_up_to(error, 200);
            let name = job_type.name();
            let message =
                format!("the schema that the plugin of `{name}` exports can't be used: {reason}");
            let hint = Some("install a corrected version of the plugin".to_owned());
            let place = root.key_place("type").unwrap_or(root.place);
            return fields
                .notes
                .error("bad_type_schema", "/type", place, message, hint);
        }
    };
    let explainer = Explainer {
        notes: fields.notes,
        root,
        schema,
        given,
    };
    let instance = Value::Object(configuration.clone());
    for error in validator.iter_errors(&instance) {
        if fields.notes.is_full() {
            return;
        }
        explainer.explain(&error);
    }
    for (key, taken) in given {
        // Whoever asks for some text does not ask for blanks.
        let least = schema["properties"][key]["minLength"].as_u64().unwrap_or(0);
        if let Kind::Text(text) = &taken.node.kind
            && least > 0
            && text.trim().is_empty()
        {
            taken.empty();
        }
    }
}
