//! The JSON Schema of a job says what `parse_job` says.

use jobcell_model::job_schema;
use serde_json::{Value, json};

use crate::support::{read, samples, sql, types};

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&job_schema(&types())).unwrap()
}

fn errors(validator: &jsonschema::Validator, job: &Value) -> Vec<String> {
    validator
        .iter_errors(job)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn samples_pass_as_written_and_as_understood() {
    let validator = validator();
    for (name, text) in samples() {
        let written: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(errors(&validator, &written), [""; 0], "{name} as written");
        assert_eq!(
            errors(&validator, &read(&text).to_json()),
            [""; 0],
            "{name} as understood"
        );
    }
}

#[test]
fn samples_name_the_schema() {
    for (name, text) in samples() {
        let first = text.lines().next().unwrap();
        assert_eq!(
            first, "# yaml-language-server: $schema=./job.schema.json",
            "{name}"
        );
        assert!(
            text.lines().nth(1).unwrap().starts_with("# "),
            "{name} says what it shows"
        );
    }
}

#[test]
fn wrong_jobs_do_not_pass() {
    let validator = validator();
    let job = json!({ "id": "a", "name": "A", "type": "SQL", "query": "SELECT 1" });
    assert_eq!(errors(&validator, &job), [""; 0]);
    let wrong = [
        ("id", json!("a/b")),
        ("id", json!(" ")),
        ("id", json!("samples")),
        ("name", json!("")),
        ("type", json!("Perl")),
        ("query", json!("")),
        ("query", json!(5)),
        ("inlineScript", json!("x")),
        ("typo", json!(1)),
        ("enabled", json!("yes")),
        ("timeout", json!(0)),
        ("timeout", json!("soon")),
        ("parameters", json!([{ "name": "x" }])),
        ("parameters", json!(["x"])),
        ("retryPolicy", json!({ "maxRetries": -1 })),
        ("retryPolicy", json!({ "typo": 1 })),
        ("concurrency", json!({ "policy": "perhaps" })),
        ("limits", json!({ "memory": 0 })),
        ("environment", json!({ "A": 1 })),
        ("schedule", json!({ "type": "weekly" })),
        ("schedule", json!({ "type": "cron" })),
        ("schedule", json!({ "type": "interval", "every": 0 })),
        ("schedule", json!({ "type": "once" })),
        ("schedule", json!([])),
        ("schedule", json!([{ "type": "cron" }])),
        (
            "schedule",
            json!({ "type": "interval", "every": 60, "exclude": "x" }),
        ),
        ("expectFirings", json!({ "year": 2027 })),
        ("expectFirings", json!([{ "year": 2027, "count": -1 }])),
        ("after", json!([{ "on": "always" }])),
        ("after", json!([{ "job": "b", "on": "never" }])),
        ("priority", json!(101)),
        ("concurrency", json!({ "queue": { "max": 0 } })),
    ];
    for (key, value) in wrong {
        let mut job = job.clone();
        job[key] = value;
        assert!(!validator.is_valid(&job), "{job} must not pass");
    }
    for key in ["id", "name", "type", "query"] {
        let mut job = job.clone();
        job.as_object_mut().unwrap().remove(key);
        assert!(!validator.is_valid(&job), "without {key} it must not pass");
    }
}

#[test]
fn what_is_read_passes_and_reads_again_as_the_same_job() {
    let validator = validator();
    let jobs = [
        "timeout: 0.25\nparameters: {a: 1, b: [x, {c: ~}], c: ~}\n",
        "retryPolicy: {retryDelay: 1m, backoff: exponential, maxDelay: 1h, jitter: 100ms, retryOn: [x]}\n",
        "schedule: {type: cron, cron: '*/5 * * * * *', timezone: Asia/Tokyo, jitter: 2s}\n",
        "schedule: {type: interval, interval: {days: 2}, startDate: '2027-01-01 00:00'}\n",
        "schedule: {type: date, run_date: '2027-01-01T00:00:00.5', timezone: Europe/Oslo}\n",
        "limits: {memory: 1.5 GiB, cpuTime: 1m, output: 5}\nonInterrupted: retry\n",
        "notifications: {onSuccess: [a], onFailure: [{b: c}]}\nenvironment: {A: ''}\n",
        "schedule: [{type: cron, expression: '@daily', exclude: [a, b]}, {type: interval, every: 90s}]\n",
        "schedule: [{type: interval, every: 1d, startDate: '2027-01-01 00:00'}]\nexpectFirings: [{year: 2027, count: 365}, {year: 2026, count: 0}]\n",
        "priority: -5\nafter: [{job: b}, {job: c, on: failure}]\n",
        "concurrency: {policy: queue, key: k, queue: {max: 3, maxAge: 90s}}\n",
        "concurrency: {limit: 9, policy: replace}\ncatchUp: {policy: all, window: 1d, max: 5}\n",
        "metadata: {n: 1.5, big: 99999999999999999999, t: \"a\\tb\\u0007\", '': []}\ndescription: x\n",
    ];
    for lines in jobs {
        let first = read(&sql(lines));
        let whole = first.to_json();
        assert_eq!(errors(&validator, &whole), [""; 0], "{lines}");
        let second = read(&whole.to_string());
        assert_eq!(second.spec, first.spec, "{lines}");
        assert_eq!(second.configuration, first.configuration, "{lines}");
    }
}

#[test]
fn every_key_is_described() {
    let schema = job_schema(&types());
    for (key, about) in schema["properties"].as_object().unwrap() {
        assert!(
            about["title"].is_string() && about["description"].is_string(),
            "{key}: {about}"
        );
    }
    assert_eq!(schema["properties"]["timeout"]["default"], 300);
    jsonschema::meta::validate(&schema).unwrap();
}
