//! What the tests share: rows, options, and the job types as V2 has them.

use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use jobcell_migrate::{
    Broken, Converted, Options, Outcome, Report, Taken, V1Job, Weekdays, convert_all,
};
use jobcell_model::{JobDocument, JobTypeSchema, parse_job};
use serde_json::{Value, json};

pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The schemas of the bundled job types, out of the schema for editors that is
/// generated from them.
pub(crate) fn types() -> Vec<JobTypeSchema> {
    let text = fs::read_to_string(repository().join("samples/job.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let all = schema["allOf"].as_array().unwrap().iter();
    let all = all.map(|part| {
        let name = part["if"]["properties"]["type"]["const"].as_str().unwrap();
        JobTypeSchema::new(name, part["then"].clone())
    });
    all.filter(|known| ["PowerShell", "SQL"].contains(&known.name()))
        .collect()
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Tuesday, 2 September 2025: when V1 was given up.
pub(crate) fn options(types: &[JobTypeSchema]) -> Options<'_> {
    Options {
        types,
        weekdays: Weekdays::Sunday,
        assume_timezone: Tz::UTC,
        now: at("2025-09-02T12:00:00Z"),
        keep_broken: false,
        taken: Taken::default(),
        connections: None,
    }
}

/// A row with these columns besides the usual ones.
pub(crate) fn row(columns: Value) -> Value {
    let mut row = json!({
        "job_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "name": "Nightly report",
        "job_type": "powershell",
        "configuration": json!({ "script_content": "Get-Date\n", "max_retries": 0, "execution_policy": "Bypass" }).to_string(),
        "enabled": true,
        "created_date": "2025-08-20 10:15:00.000",
        "modified_date": "2025-08-21 08:00:00.000",
        "created_by": "ada",
        "schedule_enabled": false,
        "schedule_type": null,
        "schedule_expression": null,
        "timezone": "UTC",
        "next_run_time": null,
        "last_run_time": null,
    });
    let columns = columns.as_object().unwrap().clone();
    row.as_object_mut().unwrap().extend(columns);
    row
}

/// A row with this configuration.
pub(crate) fn configured(job_type: &str, configuration: &Value) -> Value {
    row(json!({ "job_type": job_type, "configuration": configuration.to_string() }))
}

/// A row with a schedule in its columns.
pub(crate) fn scheduled(kind: &str, expression: &str, zone: &str) -> Value {
    row(json!({
        "schedule_enabled": true,
        "schedule_type": kind,
        "schedule_expression": expression,
        "timezone": zone,
    }))
}

pub(crate) fn convert(rows: &[Value], options: &Options<'_>) -> Report {
    let jobs = rows
        .iter()
        .map(|row| V1Job::from_row(row.as_object().unwrap()));
    convert_all(jobs.collect(), options)
}

#[track_caller]
pub(crate) fn migrated(row: &Value, options: &Options<'_>) -> Converted {
    match convert(std::slice::from_ref(row), options)
        .outcomes
        .remove(0)
    {
        Outcome::Migrated(converted) => *converted,
        Outcome::Broken(broken) => panic!("{:?}", broken.reasons),
    }
}

#[track_caller]
pub(crate) fn broken(row: &Value, options: &Options<'_>) -> Broken {
    match convert(std::slice::from_ref(row), options)
        .outcomes
        .remove(0)
    {
        Outcome::Broken(broken) => broken,
        Outcome::Migrated(converted) => panic!("{}", converted.yaml),
    }
}

#[track_caller]
pub(crate) fn read(yaml: &str, types: &[JobTypeSchema]) -> JobDocument {
    parse_job(yaml, types).unwrap_or_else(|problems| panic!("{problems:?}\n{yaml}"))
}
