//! The JSON Schema of what makes a job run: schedules, other jobs, and how many
//! runs there may be. Never knows the rest of a job.

use serde_json::{Value, json};

use crate::job_schema::{WITH_UNIT, count, duration, mapping, words};

/// One schedule, or a list of them.
pub(crate) fn schedules() -> Value {
    json!({
        "title": "Schedule",
        "description": "When the job fires by itself: one schedule, or a list of at most 20.",
        "oneOf": [
            schedule(),
            { "type": "array", "items": schedule(), "minItems": 1, "maxItems": 20 },
        ],
    })
}

/// One check of how often a job fires, or a list of them.
pub(crate) fn expect_firings() -> Value {
    let mut one = mapping(
        "Expected firings",
        "How often the schedules fire in a year of the (first) schedule's zone.",
        json!({
            "year": count("Year", "The year.", 1970, 2100, None),
            "count": count("Count", "How many firings it has.", 0, 120_000, None),
        }),
    );
    one["required"] = json!(["year", "count"]);
    json!({
        "title": "Expected firings",
        "description": "How often the schedules are to fire in some years; the job is refused when they do not.",
        "oneOf": [one, { "type": "array", "items": one, "maxItems": 5 }],
    })
}

/// The jobs that a job follows.
pub(crate) fn after() -> Value {
    let mut one = mapping(
        "Job",
        "Another job, and after which of its runs this one is started.",
        json!({
            "job": {
                "title": "Job",
                "description": "The other job's `id`.",
                "type": "string",
                "pattern": "\\S",
            },
            "on": words(
                "On",
                "How a run of it must end.",
                &["success", "failure", "always"],
            ),
        }),
    );
    one["required"] = json!(["job"]);
    json!({
        "title": "After",
        "description": "After which other jobs the job is started.",
        "type": "array",
        "items": one,
        "maxItems": 20,
    })
}

/// How many runs there may be at once.
pub(crate) fn concurrency() -> Value {
    let queue = mapping(
        "Queue",
        "The bounds of what waits by `policy: queue`; what is beyond them is skipped.",
        json!({
            "max": count("Most", "How many runs may wait.", 1, 10_000, Some(100)),
            "maxAge": duration("Oldest", "How long a run may wait.", Some(json!("1h"))),
        }),
    );
    mapping(
        "Concurrency",
        "How many runs of the job may go on at once, and what becomes of one more.",
        json!({
            "limit": count("Limit", "Runs at once.", 1, 10_000, Some(1)),
            "policy": words(
                "Policy",
                "What becomes of one more: it is skipped, waits, takes the place of the oldest, or runs all the same.",
                &["skip", "queue", "replace", "allow"],
            ),
            "key": {
                "title": "Key",
                "description": "Jobs with the same key share a limit.",
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "pattern": "\\S",
            },
            "queue": queue,
        }),
    )
}

fn schedule() -> Value {
    let instant = |title: &str, description: &str| {
        json!({
            "title": title,
            "description": format!("{description} RFC 3339, or local time in `timezone`."),
            "type": "string",
        })
    };
    let needs = |kind: &str, key: &str| {
        json!({
            "if": { "properties": { "type": { "const": kind } }, "required": ["type"] },
            "then": { "required": [key] },
        })
    };
    let mut schedule = mapping(
        "Schedule",
        "When the job fires by itself.",
        json!({
            "type": { "title": "Kind", "enum": ["cron", "interval", "once"] },
            "expression": {
                "title": "Cron expression",
                "description": "Minute, hour, day, month, weekday, with leading seconds if need be; or `@daily` and the like. Weekdays 0 and 7 are Sunday.",
                "type": "string",
                "examples": ["0 2 * * 0", "*/15 * * * *", "0 9 * * MON-FRI", "@daily"],
            },
            "every": every(),
            "at": instant("At", "When a job of kind `once` fires."),
            "timezone": {
                "title": "Time zone",
                "description": "IANA name of the zone that times are read in.",
                "type": "string",
                "default": "UTC",
                "examples": ["UTC", "Europe/Berlin", "America/New_York"],
            },
            "startDate": instant("Start", "Nothing fires before."),
            "endDate": instant("End", "Nothing fires after."),
            "jitter": duration("Jitter", "How much later than due a firing may be put.", Some(json!(0))),
            "exclude": {
                "title": "Excluded",
                "description": "Names of the calendars on whose days and hours nothing fires.",
                "type": "array",
                "items": { "type": "string", "pattern": "\\S" },
                "maxItems": 20,
                "uniqueItems": true,
            },
        }),
    );
    schedule["required"] = json!(["type"]);
    schedule["allOf"] = json!([
        needs("cron", "expression"),
        needs("interval", "every"),
        needs("once", "at")
    ]);
    schedule
}

fn every() -> Value {
    let unit = json!({ "type": "integer", "minimum": 0, "maximum": 100_000 });
    json!({
        "title": "Interval",
        "description": "Time between firings, at least a second. Seconds, text such as `1h30m`, or a mapping of units.",
        "oneOf": [
            { "type": "number", "minimum": 1 },
            { "type": "string", "pattern": WITH_UNIT },
            {
                "type": "object",
                "properties": {
                    "weeks": unit, "days": unit, "hours": unit, "minutes": unit, "seconds": unit,
                },
                "minProperties": 1,
                "additionalProperties": false,
            },
        ],
    })
}
