//! The composite keys of a job, one function each. Never knows of schedules,
//! which have a file of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::fields::{Fields, Taken};
use crate::spec::{
    Backoff, CatchUp, CatchUpPolicy, Concurrency, ConcurrencyPolicy, JobLimits, Parameter,
    RetryPolicy,
};
use crate::tree::{Kind, Node};

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Reads a mapping below a key with `read`, and refuses what it leaves.
fn within<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    read: impl FnOnce(&mut Fields<'_>) -> T,
) -> Option<T> {
    let taken = fields.take(key, &[])?;
    if taken.node.kind == Kind::Null {
        return None;
    }
    let pointer = fields.pointer_to(key);
    let mut inner = Fields::of(taken.node, &pointer, fields.problems)?;
    let value = read(&mut inner);
    inner.refuse_rest();
    fields
        .normal
        .insert(key.to_owned(), Value::Object(inner.normal));
    Some(value)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "bounded by what `count` allows"
)]
fn small(fields: &mut Fields<'_>, key: &'static str, least: u64, most: u32) -> Option<u32> {
    fields
        .count(key, least, u64::from(most))
        .map(|count| count as u32)
}

pub(crate) fn retry_policy(fields: &mut Fields<'_>) -> Option<RetryPolicy> {
    within(fields, "retryPolicy", |policy| RetryPolicy {
        max_retries: small(policy, "maxRetries", 0, 100).unwrap_or(0),
        retry_delay: policy
            .duration("retryDelay", WEEK)
            .unwrap_or(Duration::from_secs(30)),
        backoff: policy
            .word(
                "backoff",
                &[
                    ("fixed", Backoff::Fixed),
                    ("exponential", Backoff::Exponential),
                ],
            )
            .unwrap_or(Backoff::Fixed),
        max_delay: policy.duration("maxDelay", WEEK),
        jitter: policy.duration("jitter", WEEK).unwrap_or_default(),
        retry_on: words(policy, "retryOn"),
    })
}

fn words(fields: &mut Fields<'_>, key: &'static str) -> Vec<String> {
    let Some(taken) = fields.take(key, &[]) else {
        return Vec::new();
    };
    if let Kind::List(items) = &taken.node.kind {
        let texts: Option<Vec<String>> = items.iter().map(text).collect();
        if let Some(texts) = texts {
            return texts;
        }
    }
    fields.wrong(
        &taken,
        "wrong_type",
        format!("`{key}` must be a list of words"),
        None,
    );
    Vec::new()
}

fn text(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    }
}

pub(crate) fn concurrency(fields: &mut Fields<'_>) -> Concurrency {
    let words = [
        ("skip", ConcurrencyPolicy::Skip),
        ("queue", ConcurrencyPolicy::Queue),
        ("replace", ConcurrencyPolicy::Replace),
        ("allow", ConcurrencyPolicy::Allow),
    ];
    let given = within(fields, "concurrency", |concurrency| Concurrency {
        limit: small(concurrency, "limit", 1, 10_000).unwrap_or(1),
        policy: concurrency
            .word("policy", &words)
            .unwrap_or(ConcurrencyPolicy::Skip),
    });
    given.unwrap_or(Concurrency {
        limit: 1,
        policy: ConcurrencyPolicy::Skip,
    })
}

pub(crate) fn catch_up(fields: &mut Fields<'_>) -> CatchUp {
    let words = [
        ("none", CatchUpPolicy::None),
        ("latest", CatchUpPolicy::Latest),
        ("all", CatchUpPolicy::All),
    ];
    let usual = CatchUp {
        policy: CatchUpPolicy::Latest,
        window: Duration::from_secs(3600),
        max: 100,
    };
    let given = within(fields, "catchUp", |catch_up| CatchUp {
        policy: catch_up.word("policy", &words).unwrap_or(usual.policy),
        window: catch_up.duration("window", YEAR).unwrap_or(usual.window),
        max: small(catch_up, "max", 1, 10_000).unwrap_or(usual.max),
    });
    given.unwrap_or(usual)
}

pub(crate) fn limits(fields: &mut Fields<'_>) -> JobLimits {
    let given = within(fields, "limits", |limits| JobLimits {
        memory: size(limits, "memory"),
        cpu_time: limits.duration("cpuTime", YEAR),
        processes: small(limits, "processes", 1, 100_000),
        open_files: small(limits, "openFiles", 1, 1_000_000),
    });
    given.unwrap_or_default()
}

/// Bytes: a number, or text such as `512 MiB`.
fn size(fields: &mut Fields<'_>, key: &'static str) -> Option<u64> {
    let taken = fields.take(key, &[])?;
    let bytes = match &taken.node.kind {
        Kind::Number(number) => number.as_u64(),
        Kind::Text(text) => text
            .parse::<bytesize::ByteSize>()
            .ok()
            .map(|size| size.as_u64()),
        _ => None,
    };
    if let Some(bytes) = bytes.filter(|bytes| *bytes > 0) {
        return Some(bytes);
    }
    let message = format!("`{key}` must be a number of bytes, or text such as `512 MiB`");
    fields.wrong(&taken, "out_of_range", message, None);
    None
}

pub(crate) fn metadata(fields: &mut Fields<'_>) -> Map<String, Value> {
    let Some(taken) = fields.take("metadata", &[]) else {
        return Map::new();
    };
    match taken.node.to_json() {
        Value::Object(metadata) => metadata,
        Value::Null => Map::new(),
        _ => {
            fields.wrong(&taken, "wrong_type", "`metadata` must be a mapping", None);
            Map::new()
        }
    }
}

pub(crate) fn environment(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let Some(taken) = fields.take("environment", &[]) else {
        return BTreeMap::new();
    };
    let Kind::Map(entries) = &taken.node.kind else {
        fields.wrong(
            &taken,
            "wrong_type",
            "`environment` must be a mapping of names and texts",
            None,
        );
        return BTreeMap::new();
    };
    let mut variables = BTreeMap::new();
    for entry in entries {
        let fit = !entry.key.is_empty() && !entry.key.contains(['=', '\0']);
        match &entry.value.kind {
            Kind::Text(value) if fit => {
                variables.insert(entry.key.clone(), value.clone());
            }
            _ => {
                let pointer = format!("/environment/{}", entry.key);
                let message = format!(
                    "the variable `{}` must have a plain name and a text",
                    entry.key
                );
                let hint = Some("put numbers, true and false in quotes".to_owned());
                fields
                    .problems
                    .error("wrong_type", &pointer, entry.value.place, message, hint);
            }
        }
    }
    variables
}

pub(crate) fn notifications(fields: &mut Fields<'_>) -> Option<Value> {
    within(fields, "notifications", |notifications| {
        let mut given = Map::new();
        for key in ["onSuccess", "onFailure"] {
            if let Some(taken) = notifications.take(key, &[]) {
                given.insert(key.to_owned(), taken.node.to_json());
            }
        }
        Value::Object(given)
    })
}

/// A list of `{name, value}`, a mapping, or a list of `key=value`.
pub(crate) fn parameters(fields: &mut Fields<'_>) -> Vec<Parameter> {
    let Some(taken) = fields.take("parameters", &[]) else {
        return Vec::new();
    };
    let parameters: Vec<Parameter> = match &taken.node.kind {
        Kind::Null => Vec::new(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| Parameter {
                name: entry.key.clone(),
                value: entry.value.to_json(),
            })
            .collect(),
        Kind::List(items) => items
            .iter()
            .filter_map(|item| parameter(fields, &taken, item))
            .collect(),
        _ => {
            let message = "`parameters` must be a list of names and values, or a mapping";
            fields.wrong(&taken, "wrong_type", message, None);
            Vec::new()
        }
    };
    for (index, parameter) in parameters.iter().enumerate() {
        if parameters[..index]
            .iter()
            .any(|earlier| earlier.name == parameter.name)
        {
            let message = format!("the parameter `{}` is given twice", parameter.name);
            fields.wrong(&taken, "duplicate_key", message, Some("keep one of them"));
        }
    }
    let normal = parameters
        .iter()
        .map(|one| json!({ "name": one.name, "value": one.value }));
    fields
        .normal
        .insert("parameters".to_owned(), normal.collect());
    parameters
}

fn parameter(fields: &Fields<'_>, taken: &Taken<'_>, item: &Node) -> Option<Parameter> {
    match &item.kind {
        Kind::Map(_) => {
            let pointer = fields.pointer_to(taken.key);
            let mut inner = Fields::of(item, &pointer, fields.problems)?;
            let name = inner.required_text("name");
            let value = inner.take("value", &[]);
            if value.is_none() {
                inner.missing("value");
            }
            inner.refuse_rest();
            Some(Parameter {
                name: name?.0,
                value: value?.node.to_json(),
            })
        }
        Kind::Text(text) if !text.starts_with('=') && text.contains('=') => {
            let (name, value) = text.split_once('=')?;
            Some(Parameter {
                name: name.trim().to_owned(),
                value: value.into(),
            })
        }
        _ => {
            let hint = Some("write `- {name: Level, value: Info}` or `- Level=Info`".to_owned());
            let message = "a parameter must have a name and a value";
            fields
                .problems
                .error("wrong_type", "/parameters", item.place, message, hint);
            None
        }
    }
}
