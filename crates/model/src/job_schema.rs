//! The JSON Schema (2020-12) of a job, for editors: the shared keys, and for
//! each type its own. What `parse_job` accepts beyond it (the original's
//! spellings) is left out on purpose: editors should suggest today's.

use serde_json::{Map, Value, json};

use crate::job_type::JobTypeSchema;
use crate::references;
use crate::schedule_schema::{after, concurrency, expect_firings, schedules};

/// Text that begins with a number: `90s`, `1h30m`, `512 MiB`.
pub(crate) const WITH_UNIT: &str = "^\\s*[0-9]";

/// The schema of a job of any of these types.
#[must_use]
pub fn job_schema(types: &[JobTypeSchema]) -> Value {
    let names: Vec<&str> = types.iter().map(|known| known.name()).collect();
    let job_type = json!({
        "title": "Job type",
        "description": "Which plugin carries out the job. Matched without case.",
        "enum": names,
    });
    let mut properties = Map::new();
    properties.insert("type".to_owned(), job_type);
    for part in [identity(), conduct(), surroundings()] {
        if let Value::Object(part) = part {
            properties.extend(part);
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Jobcell job",
        "description": "A job of Jobcell. Lengths of time are seconds, or text such as `90s` or `1h30m`.",
        "type": "object",
        "required": ["id", "name", "type"],
        "properties": properties,
        "allOf": types.iter().enumerate().map(of_type).collect::<Vec<_>>(),
        "unevaluatedProperties": false,
    })
}

fn of_type((index, job_type): (usize, &JobTypeSchema)) -> Value {
    let mut own = job_type.schema().clone();
    references::rebase(&mut own, &format!("#/allOf/{index}/then"));
    if let Some(own) = own.as_object_mut() {
        // What a type calls its schema says nothing about a whole job.
        for key in [
            "$schema",
            "$id",
            "title",
            "additionalProperties",
            "unevaluatedProperties",
        ] {
            own.remove(key);
        }
    }
    json!({
        "if": { "properties": { "type": { "const": job_type.name() } }, "required": ["type"] },
        "then": own,
    })
}

pub(crate) fn mapping(title: &str, description: &str, properties: Value) -> Value {
    json!({
        "title": title,
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

pub(crate) fn words(title: &str, description: &str, words: &[&str]) -> Value {
    json!({
        "title": title,
        "description": description,
        "enum": words,
        // The first of the words is the default everywhere.
        "default": words.first(),
    })
}

pub(crate) fn duration(title: &str, description: &str, default: Option<Value>) -> Value {
    let mut schema = json!({
        "title": title,
        "description": format!("{description} Seconds, or text such as `90s` or `1h30m`."),
        "oneOf": [
            { "type": "number", "minimum": 0 },
            { "type": "string", "pattern": WITH_UNIT },
        ],
    });
    if let Some(default) = default {
        schema["default"] = default;
    }
    schema
}

fn size(title: &str, description: &str) -> Value {
    json!({
        "title": title,
        "description": format!("{description} Bytes, or text such as `512 MiB`."),
        "oneOf": [
            { "type": "integer", "minimum": 1 },
            { "type": "string", "pattern": WITH_UNIT },
        ],
    })
}

pub(crate) fn count(
    title: &str,
    description: &str,
    least: u32,
    most: u32,
    default: Option<u32>,
) -> Value {
    let mut schema = json!({
        "title": title,
        "description": description,
        "type": "integer",
        "minimum": least,
        "maximum": most,
    });
    if let Some(default) = default {
        schema["default"] = json!(default);
    }
    schema
}

fn identity() -> Value {
    json!({
        "id": {
            "title": "Id",
            "description": "The job's own id, unique in a store. At most 200 characters, no `/` or `\\`, no UUID.",
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "pattern": "^[^/\\\\]*[^/\\\\\\s][^/\\\\]*$",
            "not": { "enum": ["samples", "validate", ".", ".."] },
        },
        "name": {
            "title": "Name",
            "description": "What people call the job. One line.",
            "type": "string",
            "maxLength": 255,
            "pattern": "\\S",
        },
        "description": {
            "title": "Description",
            "description": "What the job is for.",
            "type": "string",
        },
        "enabled": {
            "title": "Enabled",
            "description": "Whether the job may run.",
            "type": "boolean",
            "default": true,
        },
        "metadata": {
            "title": "Metadata",
            "description": "Whatever its owner notes. Jobcell keeps it and gives it no meaning.",
            "type": "object",
        },
    })
}

fn conduct() -> Value {
    json!({
        "timeout": {
            "title": "Timeout",
            "description": "How long a run may take, at most 31 days. Seconds, or text such as `90s` or `1h30m`.",
            "oneOf": [
                { "type": "number", "exclusiveMinimum": 0, "maximum": 2_678_400 },
                { "type": "string", "pattern": WITH_UNIT },
            ],
            "default": 300,
        },
        "schedule": schedules(),
        "expectFirings": expect_firings(),
        "retryPolicy": retry_policy(),
        "concurrency": concurrency(),
        "priority": {
            "title": "Priority",
            "description": "Among runs that wait, those of a higher one start first.",
            "type": "integer",
            "minimum": -100,
            "maximum": 100,
            "default": 0,
        },
        "after": after(),
        "catchUp": mapping(
            "Catching up",
            "What becomes of firings that were missed while the server was down.",
            json!({
                "policy": words("Policy", "Which are made up for.", &["latest", "none", "all"]),
                "window": duration("Window", "How old a missed firing may be.", Some(json!("1h"))),
                "max": count("Most", "How many firings are made up for.", 1, 10_000, Some(100)),
            }),
        ),
        "onInterrupted": words(
            "When interrupted",
            "What becomes of a run that a crash of the server ended: it has failed, or it is run again.",
            &["fail", "retry"],
        ),
    })
}

fn surroundings() -> Value {
    json!({
        "parameters": parameters(),
        "environment": {
            "title": "Environment",
            "description": "Variables for the job's processes.",
            "type": "object",
            "propertyNames": { "pattern": "^[^=]*\\S[^=]*$" },
            "additionalProperties": { "type": "string" },
        },
        "limits": mapping(
            "Limits",
            "What a run may use; without it the server's own limits hold.",
            json!({
                "memory": size("Memory", "Memory of its processes."),
                "cpuTime": duration("Processor time", "Processor time of its processes.", None),
                "processes": count("Processes", "Processes at a time.", 1, 100_000, None),
                "openFiles": count("Open files", "Open files of each process.", 1, 1_000_000, None),
                "output": size("Output", "Output that is kept."),
            }),
        ),
        "notifications": mapping(
            "Notifications",
            "Whom to tell how a run ended.",
            json!({
                "onSuccess": targets("After success", "Whom to tell of a run that succeeded."),
                "onFailure": targets("After failure", "Whom to tell of a run that did not."),
            }),
        ),
    })
}

fn targets(title: &str, description: &str) -> Value {
    json!({
        "title": title,
        "description": description,
        "type": "array",
        "items": {
            "oneOf": [
                { "type": "string", "pattern": "\\S" },
                { "type": "object", "minProperties": 1 },
            ],
        },
    })
}

fn retry_policy() -> Value {
    mapping(
        "Retry policy",
        "Whether and how a failed run is tried again.",
        json!({
            "maxRetries": count("Retries", "How often a run is tried again.", 0, 100, Some(0)),
            "retryDelay": duration("Delay", "How long to wait before the next try.", Some(json!(30))),
            "backoff": words(
                "Backoff",
                "Whether the delay stays, or doubles with each try.",
                &["fixed", "exponential"],
            ),
            "maxDelay": duration("Longest delay", "How long a growing delay may become.", None),
            "jitter": duration("Jitter", "Up to how much is added to a delay by chance.", Some(json!(0))),
            "retryOn": {
                "title": "Retry on",
                "description": "After which ends a run is tried again: states such as `failed`, or error codes.",
                "type": "array",
                "items": { "type": "string", "pattern": "\\S" },
            },
        }),
    )
}

fn parameters() -> Value {
    json!({
        "title": "Parameters",
        "description": "What the job is given: a list of names and values, or a mapping.",
        "oneOf": [
            { "type": "object" },
            {
                "type": "array",
                "items": {
                    "oneOf": [
                        {
                            "type": "object",
                            "required": ["name", "value"],
                            "properties": {
                                "name": { "title": "Name", "type": "string", "pattern": "\\S" },
                                "value": { "title": "Value" },
                            },
                            "additionalProperties": false,
                        },
                        { "type": "string", "pattern": "^[^=]*[^=\\s][^=]*=" },
                    ],
                },
            },
        ],
    })
}
