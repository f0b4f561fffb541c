//! A job's parameters: a list of names and values, a mapping, or a list of
//! `name=value`. Never changes a value's type or order.

use std::collections::HashSet;

use crate::fields::{Fields, Taken};
use crate::problem::Location;
use crate::spec::Parameter;
use crate::tree::Kind;
use crate::wording::shown;
use serde_json::Value;

/// Reads the parameters in their order.
pub(crate) fn read(fields: &mut Fields<'_>) -> Vec<Parameter> {
    let Some(taken) = fields.take("parameters", &[]) else {
        return Vec::new();
    };
    let mut names = HashSet::new();
    let mut parameters = Vec::new();
    for (given, pointer, place) in all(&taken) {
        if given.name.trim().is_empty() || given.name.chars().any(char::is_control) {
            let message = "a parameter must have a name, on one line";
            taken
                .notes
                .error("bad_name", &pointer, place, message, None);
        } else if names.insert(given.name.clone()) {
            parameters.push(given);
        } else {
            let message = format!("the parameter `{}` is given twice", shown(&given.name));
            let hint = Some("keep one of them".to_owned());
            taken
                .notes
                .error("duplicate_key", &pointer, place, message, hint);
        }
    }
    parameters
}

fn all(taken: &Taken<'_>) -> Vec<(Parameter, String, Location)> {
    match &taken.node.kind {
        Kind::Map(entries) => {
            let entries = entries.iter().enumerate();
            let read = entries.map(|(index, entry)| {
                let inner = taken.inner(&entry.key, &entry.value);
                let today = format!("{}/{index}", taken.today);
                taken
                    .notes
                    .renamed(format!("{today}/value"), inner.pointer.clone());
                let parameter = Parameter {
                    name: entry.key.clone(),
                    value: entry.value.to_json(),
                };
                (parameter, inner.pointer, entry.key_place)
            });
            read.collect()
        }
        Kind::List(_) => taken
            .items()
            .unwrap_or_default()
            .iter()
            .filter_map(one)
            .collect(),
        _ => {
            taken.wrong_type("a list of names and values, or a mapping", None);
            Vec::new()
        }
    }
}

fn one(item: &Taken<'_>) -> Option<(Parameter, String, Location)> {
    let (name, value) = match &item.node.kind {
        Kind::Map(_) => {
            let mut fields = Fields::of(item)?;
            let name = fields.require("name", &[]);
            let value = fields.find("value", &[]);
            if value.is_none() {
                fields.missing("value");
            }
            fields.refuse_rest();
            (name?.any_text()?.to_owned(), value?.node.to_json())
        }
        Kind::Text(text) if text.contains('=') => {
            let (name, value) = text.split_once('=')?;
            (name.trim().to_owned(), Value::from(value))
        }
        _ => {
            let hint = "write `- {name: Level, value: Info}` or `- Level=Info`";
            let message = "a parameter must have a name and a value";
            item.wrong("wrong_type", message, Some(hint));
            return None;
        }
    };
    Some((
        Parameter { name, value },
        item.pointer.clone(),
        item.node.place,
    ))
}
