//! A job of V2 before it is written: what its YAML is to say. Never reads V1.

use std::time::Duration;

use serde_json::{Map, Value};

use jobcell_model::Parameter;
use jobcell_model::schedule::Schedule;

use crate::body::{Kind, Own};
use crate::report::Note;

/// What a job's YAML is to say.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) enabled: bool,
    pub(crate) timeout: Duration,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) retry: Option<(u32, Duration)>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) own: Vec<Own>,
    /// In the order in which it is written.
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) notes: Vec<Note>,
}

/// How deep V1's own metadata may lie before it is written as text: V2 reads 64.
const DEEPEST: usize = 40;
/// How many values it may have before that: V2 reads 20,000.
const MOST: usize = 5_000;
/// The longest key: V2 reads 1024 bytes, and escapes need some.
const LONGEST_KEY: usize = 120;

/// A value of V1 as V2's reader can take it: without NUL characters, as JSON
/// text where it is too deep or too large.
pub(crate) fn fitting(value: &Value) -> Value {
    let mut count = 0;
    match clean(value, 0, &mut count) {
        Some(value) => value,
        None => Value::String(value.to_string().replace("\\u0000", "")),
    }
}

fn clean(value: &Value, depth: usize, count: &mut usize) -> Option<Value> {
    *count += 1;
    if depth > DEEPEST || *count > MOST {
        return None;
    }
    Some(match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(items) => {
            let items = items.iter().map(|item| clean(item, depth + 1, count));
            Value::Array(items.collect::<Option<_>>()?)
        }
        Value::Object(members) => {
            let mut cleaned = Map::new();
            for (key, value) in members {
                if key.len() > LONGEST_KEY || key.contains('\0') {
                    return None;
                }
                cleaned.insert(key.clone(), clean(value, depth + 1, count)?);
            }
            Value::Object(cleaned)
        }
        other => other.clone(),
    })
}
