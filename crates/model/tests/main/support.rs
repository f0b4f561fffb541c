//! Job types as fixtures, samples, and short ways to say what is expected.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use jobcell_model::plan::{Calendars, Plan};
use jobcell_model::schedule::{Schedule, Trigger};
use jobcell_model::{JobDocument, JobTypeSchema, Problem, Severity, parse_job};
use serde_json::json;

/// Three types like those that come with Jobcell, and one with nested keys.
pub(crate) fn types() -> Vec<JobTypeSchema> {
    let needs = |mode: &str, key: &str| {
        json!({
            "if": { "properties": { "executionMode": { "const": mode } }, "required": ["executionMode"] },
            "then": { "required": [key] },
        })
    };
    let powershell = json!({
        "type": "object",
        "properties": {
            "executionMode": { "enum": ["inline", "script"] },
            "inlineScript": { "type": "string", "pattern": "\\S", "description": "The script itself." },
            "scriptPath": { "type": "string", "pattern": "\\S" },
            "executionPolicy": { "enum": ["Bypass", "RemoteSigned"] },
            "workingDirectory": { "type": "string", "pattern": "\\S" },
        },
        "required": ["executionMode"],
        "allOf": [needs("inline", "inlineScript"), needs("script", "scriptPath")],
        "additionalProperties": false,
    });
    let sql = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "minLength": 1 },
            "connection": { "type": "string", "minLength": 1, "default": "default" },
        },
        "required": ["query"],
    });
    let steps = json!({
        "type": "object",
        "properties": {
            "steps": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "action": { "type": "string", "description": "What to do." },
                        "tries": { "type": "integer", "minimum": 1, "maximum": 9 },
                        "with": { "oneOf": [{ "type": "string" }, { "type": "array" }] },
                    },
                    "required": ["action"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["steps"],
    });
    let command = json!({
        "type": "object",
        "properties": {
            "program": { "type": "string", "pattern": "\\S" },
            "arguments": { "type": "array" },
            "shell": { "enum": ["sh", "bash", "python3", "cmd"] },
            "script": { "type": "string", "pattern": "\\S" },
            "stdin": { "type": "string" },
            "successExitCodes": { "type": "array", "items": { "type": "integer" } },
        },
    });
    let types = [
        ("PowerShell", powershell),
        ("SQL", sql),
        ("Command", command),
        ("Steps", steps),
    ];
    types
        .map(|(name, schema)| JobTypeSchema::new(name, schema))
        .into()
}

/// A job that must be valid.
#[track_caller]
pub(crate) fn read(yaml: &str) -> JobDocument {
    parse_job(yaml, &types()).unwrap_or_else(|problems| panic!("{yaml}\n{problems:#?}"))
}

/// A short SQL job; what is given begins at line 5.
pub(crate) fn sql(lines: &str) -> String {
    format!("id: a\nname: A\ntype: SQL\nquery: SELECT 1\n{lines}")
}

/// The problems of a job that must not be valid.
#[track_caller]
pub(crate) fn problems(yaml: &str) -> Vec<Problem> {
    let problems = parse_job(yaml, &types()).err();
    let problems = problems.unwrap_or_else(|| panic!("it is valid:\n{yaml}"));
    assert!(!problems.is_empty());
    assert!(
        problems
            .iter()
            .all(|problem| problem.severity == Severity::Error)
    );
    problems
}

/// Asserts that this is the only problem: its code, place and pointer, and
/// words of its message or hint.
#[track_caller]
pub(crate) fn refused(yaml: &str, code: &str, place: (u32, u32), pointer: &str, words: &[&str]) {
    let problems = problems(yaml);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let found = &problems[0];
    let seen = (found.code, found.line, found.column, found.pointer.as_str());
    assert_eq!(
        seen,
        (code, Some(place.0), Some(place.1), pointer),
        "{found:#?}"
    );
    let said = format!(
        "{} {}",
        found.message,
        found.hint.as_deref().unwrap_or_default()
    );
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

/// The text of every sample, by file name.
pub(crate) fn samples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples");
    let mut samples = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            samples.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
    samples.sort();
    assert!(samples.len() >= 6, "{samples:?}");
    samples
}

/// One sample's text.
pub(crate) fn sample(name: &str) -> String {
    samples()
        .into_iter()
        .find(|(found, _)| found == name)
        .unwrap()
        .1
}

/// A schedule with this trigger and nothing else.
pub(crate) fn schedule(trigger: Trigger, timezone: Tz) -> Schedule {
    Schedule {
        trigger,
        timezone,
        start_date: None,
        end_date: None,
        jitter: Duration::ZERO,
        exclude: Vec::new(),
    }
}

/// The plan of one cron expression.
#[track_caller]
pub(crate) fn cron_plan(expression: &str, zone: Tz) -> Plan {
    let schedule = schedule(Trigger::Cron(expression.to_owned()), zone);
    let plan = Plan::new(&[schedule], b"job", DateTime::UNIX_EPOCH, &Calendars::new());
    plan.unwrap_or_else(|error| panic!("{expression}: {error}"))
}

/// An instant in RFC 3339.
#[track_caller]
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The first firings after an instant: local time, and what is special.
#[track_caller]
pub(crate) fn fires(zone: &str, expression: &str, after: &str, expected: &[&str]) {
    let plan = cron_plan(expression, zone.parse().unwrap());
    let firings = plan.after(at(after)).take(expected.len());
    let told: Vec<String> = firings
        .map(|firing| {
            let reasons: Vec<String> = firing.reasons.iter().map(ToString::to_string).collect();
            let told = format!("{} {}", firing.local().to_rfc3339(), reasons.join("; "));
            told.trim().to_owned()
        })
        .collect();
    assert_eq!(told, expected, "{expression} in {zone}");
}
