//! The JSON Schema (2020-12) of a job, for editors: the shared keys, and for
//! each type its own. What `parse_job` accepts beyond it (the original's
//! spellings) is left out on purpose: editors should suggest today's.

use serde_json::{Map, Value, json};

use crate::reader::JobTypeSchema;

/// The schema of a job of any of these types.
#[must_use]
pub fn job_schema(types: &[JobTypeSchema]) -> Value {
    let names: Vec<&str> = types.iter().map(|known| known.name.as_str()).collect();
    let mut properties = shared();
    properties.insert(
        "type".to_owned(),
        json!({
            "title": "Job type",
            "description": "Which plugin carries out the job. Matched without case.",
            "enum": names,
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Jobcell job",
        "description": "A job of Jobcell. Durations are seconds, or text such as `90s` or `1h30m`.",
        "type": "object",
        "required": ["id", "name", "type"],
        "properties": properties,
        "allOf": types.iter().map(of_type).collect::<Vec<_>>(),
        "unevaluatedProperties": false,
    })
}

fn of_type(job_type: &JobTypeSchema) -> Value {
    let mut own = job_type.schema.clone();
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
        "if": { "properties": { "type": { "const": job_type.name } }, "required": ["type"] },
        "then": own,
    })
}

fn duration(description: &str, default: Option<&str>) -> Value {
    let mut schema = json!({
        "description": description,
        "oneOf": [
            { "type": "number", "minimum": 0 },
            { "type": "string", "pattern": "^[0-9]" },
        ],
    });
    if let Some(default) = default {
        schema["default"] = json!(default);
    }
    schema
}

fn shared() -> Map<String, Value> {
    let properties = json!({
        "id": {
            "title": "Id",
            "description": "The job's own id, unique in a store. No `/` or `\\`.",
            "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^/\\\\]*\\S[^/\\\\]*$",
        },
        "name": { "title": "Name", "type": "string", "pattern": "\\S" },
        "description": { "description": "What the job is for.", "type": "string" },
        "enabled": { "description": "Whether it may run.", "type": "boolean", "default": true },
        "timeout": {
            "description": "How long a run may take: seconds, or text such as `5m`. 300 without it.",
            "oneOf": [
                { "type": "number", "exclusiveMinimum": 0, "maximum": 2_678_400 },
                { "type": "string", "pattern": "^[0-9]" },
            ],
            "default": 300,
        },
        "schedule": schedule(),
        "retryPolicy": retry_policy(),
        "parameters": parameters(),
        "metadata": { "description": "Whatever its owner notes.", "type": ["object", "null"] },
        "concurrency": {
            "description": "How many runs of it may go on at once, and what becomes of one more.",
            "type": "object",
            "properties": {
                "limit": { "type": "integer", "minimum": 1, "maximum": 10_000, "default": 1 },
                "policy": { "enum": ["skip", "queue", "replace", "allow"], "default": "skip" },
            },
            "additionalProperties": false,
        },
        "catchUp": {
            "description": "What becomes of firings that were missed.",
            "type": "object",
            "properties": {
                "policy": { "enum": ["none", "latest", "all"], "default": "latest" },
                "window": duration("How old a missed firing may be.", Some("1h")),
                "max": { "type": "integer", "minimum": 1, "maximum": 10_000, "default": 100 },
            },
            "additionalProperties": false,
        },
        "limits": limits(),
        "environment": {
            "description": "Variables for its processes.",
            "type": "object", "additionalProperties": { "type": "string" },
        },
        "notifications": {
            "type": "object",
            "properties": { "onSuccess": true, "onFailure": true },
            "additionalProperties": false,
        },
        "onInterrupted": {
            "description": "What becomes of a run that a crash of the server ended.",
            "enum": ["fail", "retry"], "default": "fail",
        },
    });
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

fn limits() -> Value {
    json!({
        "description": "What a run may use; the server's own limits without it.",
        "type": "object",
        "properties": {
            "memory": {
                "description": "Memory of its processes: bytes, or text such as `512 MiB`.",
                "type": ["integer", "string"],
            },
            "cpuTime": duration("Processor time of its processes.", None),
            "processes": { "type": "integer", "minimum": 1 },
            "openFiles": { "type": "integer", "minimum": 1 },
        },
        "additionalProperties": false,
    })
}

fn retry_policy() -> Value {
    json!({
        "description": "Whether and how a failed run is tried again.",
        "type": "object",
        "properties": {
            "maxRetries": { "type": "integer", "minimum": 0, "maximum": 100, "default": 0 },
            "retryDelay": duration("How long to wait before the next try.", Some("30s")),
            "backoff": { "enum": ["fixed", "exponential"], "default": "fixed" },
            "maxDelay": duration("How long a delay may become.", None),
            "jitter": duration("Up to how much is added to a delay by chance.", None),
            "retryOn": {
                "description": "After which ends: states such as `failed`, or error codes.",
                "type": "array", "items": { "type": "string" },
            },
        },
        "additionalProperties": false,
    })
}

fn parameters() -> Value {
    json!({
        "description": "What the script is given: a list of names and values, or a mapping.",
        "oneOf": [
            { "type": "object" },
            {
                "type": "array",
                "items": {
                    "oneOf": [
                        {
                            "type": "object",
                            "required": ["name", "value"],
                            "properties": { "name": { "type": "string" }, "value": true },
                            "additionalProperties": false,
                        },
                        { "type": "string", "pattern": "^[^=]+=" },
                    ],
                },
            },
        ],
    })
}

fn schedule() -> Value {
    let instant = "A date and time: RFC 3339, or local in `timezone`.";
    json!({
        "description": "When the job fires by itself.",
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": { "enum": ["cron", "interval", "once"] },
            "expression": {
                "description": "Cron: minute hour day month weekday, with leading seconds if need be. Weekdays 0 and 7 are Sunday.",
                "type": "string",
            },
            "every": duration("Interval between firings.", None),
            "interval": {
                "type": "object",
                "properties": {
                    "weeks": { "type": "integer" }, "days": { "type": "integer" },
                    "hours": { "type": "integer" }, "minutes": { "type": "integer" },
                    "seconds": { "type": "integer" },
                },
                "additionalProperties": false,
            },
            "at": { "description": instant, "type": "string" },
            "timezone": { "description": "IANA time zone.", "type": "string", "default": "UTC" },
            "startDate": { "description": instant, "type": "string" },
            "endDate": { "description": instant, "type": "string" },
            "jitter": duration("How much later than due a firing may be put.", None),
        },
        "additionalProperties": false,
    })
}
