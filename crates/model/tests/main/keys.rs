//! What each key means when it is right.

use std::time::Duration;

use jobcell_model::schedule::Trigger;
use jobcell_model::{Backoff, CatchUpPolicy, ConcurrencyPolicy, OnInterrupted, parse_job};
use serde_json::json;

use crate::support::{read, sample, samples, sql, types};

#[test]
fn the_guides_jobs_are_read_as_written() {
    let job = read(&sample("powershell-health-check.yaml"));
    assert_eq!(job.spec.id, "PS-001");
    assert_eq!(job.spec.name, "System Health Check Script");
    assert_eq!(job.spec.timeout, Duration::from_secs(300));
    assert_eq!(job.spec.max_retries(), 3);
    assert_eq!(
        job.spec.retry_policy.unwrap().retry_delay,
        Duration::from_secs(30)
    );
    assert_eq!(job.spec.parameters[0].name, "LogLevel");
    assert_eq!(job.spec.parameters[0].value, "Info");
    assert_eq!(job.spec.metadata["tags"], json!(["health", "monitoring"]));
    let schedule = &job.spec.schedules[0];
    assert_eq!(schedule.trigger, Trigger::Cron("0 */6 * * *".to_owned()));
    let script = job.configuration["inlineScript"].as_str().unwrap();
    assert!(
        script.starts_with("# PowerShell inline script\nGet-Process"),
        "{script}"
    );
    assert!(script.ends_with("$(Get-Date)\"\n"), "{script}");

    let job = read(&sample("sql-maintenance.yaml"));
    assert_eq!(job.spec.timeout, Duration::from_secs(600));
    assert_eq!(job.configuration["connection"], "default");
    assert_eq!(job.spec.max_retries(), 2);
}

#[test]
fn the_samples_hold_the_guides_jobs_to_the_letter() {
    let powershell = sample("powershell-health-check.yaml");
    for line in [
        "id: \"PS-001\"",
        "executionMode: \"inline\"  # or \"script\"",
        "  retryDelay: 30",
    ] {
        assert!(powershell.lines().any(|found| found == line), "{line}");
    }
    assert!(
        sample("sql-maintenance.yaml").contains("  UPDATE STATISTICS dbo.job_configurations;\n")
    );
}

#[test]
fn all_samples_are_read_without_a_warning() {
    for (name, text) in samples() {
        let job = parse_job(&text, &types()).unwrap_or_else(|found| panic!("{name}: {found:#?}"));
        assert_eq!(job.warnings, [], "{name}");
    }
}

#[test]
fn spellings_of_the_original_are_understood() {
    let job = read(
        "id: o\nname: O\ntype: Powershell\nexecution_mode: inline\ninline_script: x\n\
         execution_policy: Bypass\nworking_directory: /srv\n\
         retry_policy: {max_retries: 2, retry_delay: 5}\n\
         schedule: {type: cron, cron: '0 0 12 * * ?'}\nparameters: ['A=1', 'B=x=y']\n\
         catch_up: {policy: all}\non_interrupted: retry\n",
    );
    assert_eq!(job.spec.job_type, "PowerShell");
    assert_eq!(job.configuration["executionPolicy"], "Bypass");
    assert_eq!(job.configuration["workingDirectory"], "/srv");
    assert_eq!(job.spec.max_retries(), 2);
    assert_eq!(job.spec.parameters[1].value, "x=y");
    assert_eq!(job.spec.catch_up.policy, CatchUpPolicy::All);
    assert_eq!(job.spec.on_interrupted, OnInterrupted::Retry);
    assert_eq!(job.to_json()["schedule"]["expression"], "0 0 12 * * ?");
}

#[test]
fn jobs_that_the_originals_migration_wrote_are_read() {
    let yaml = "connection: default\nenabled: true\nid: NIGHTLY-REPORT\nmetadata:\n  migratedFrom: v1\n  \
                migrationDate: '2025-09-03'\nname: Nightly Report\nquery: \"SELECT 1\\n\\nSELECT 2\"\n\
                retryPolicy:\n  maxRetries: 3\n  retryDelay: 30\nschedule:\n  expression: 1d 2h 0m 0s\n  \
                timezone: Europe/London\n  type: interval\ntimeout: 900\ntype: Sql\n";
    let schedule = &read(yaml).spec.schedules[0];
    assert_eq!(
        schedule.trigger,
        Trigger::Interval(Duration::from_secs(93_600))
    );
    let once = yaml
        .replace("1d 2h 0m 0s", "'2025-09-10T08:30:00'")
        .replace("interval", "date");
    let at = "2025-09-10T07:30:00Z".parse().unwrap();
    assert_eq!(read(&once).spec.schedules[0].trigger, Trigger::Once(at));
}

#[test]
fn parameters_come_in_three_forms_and_keep_order_and_type() {
    let list = "parameters:\n  - {name: z, value: 1}\n  - a=1\n  - {value: [x], name: m}\n  - {name: n, value: null}\n";
    let spec = read(&sql(list)).spec;
    let found: Vec<_> = spec
        .parameters
        .iter()
        .map(|one| (one.name.as_str(), &one.value))
        .collect();
    assert_eq!(
        found,
        [
            ("z", &json!(1)),
            ("a", &json!("1")),
            ("m", &json!(["x"])),
            ("n", &json!(null))
        ]
    );
    let mapping = read(&sql(
        "parameters: {n: 1, t: true, s: '1', z: 007, f: 1.5, b: 99999999999999999999}\n",
    ));
    let values: Vec<_> = mapping
        .spec
        .parameters
        .iter()
        .map(|one| one.value.clone())
        .collect();
    let expected = [json!(1), json!(true), json!("1"), json!("007"), json!(1.5)];
    assert_eq!(values[..5], expected);
    assert_eq!(values[5], json!("99999999999999999999"), "no digit is lost");
}

#[test]
fn defaults_are_the_documented_ones() {
    let spec = read(&sql("")).spec;
    assert!(spec.enabled);
    assert_eq!(spec.timeout, Duration::from_secs(300));
    assert_eq!(
        (spec.concurrency.limit, spec.concurrency.policy),
        (1, ConcurrencyPolicy::Skip)
    );
    assert_eq!(spec.catch_up.policy, CatchUpPolicy::Latest);
    assert_eq!(spec.catch_up.window, Duration::from_secs(3600));
    assert_eq!(spec.on_interrupted, OnInterrupted::Fail);
    assert_eq!(spec.timezone(), "UTC");
    assert_eq!(
        (spec.schedules, spec.retry_policy, spec.notifications),
        (vec![], None, None)
    );
    assert!(spec.limits.is_empty());
}

#[test]
fn every_key_is_read() {
    let spec = read(&sql(
        "description: why\nenabled: false\ntimeout: 1.5\n\
         retryPolicy: {maxRetries: 5, retryDelay: 10s, backoff: exponential, maxDelay: 5m, jitter: 2, retryOn: [timeout]}\n\
         concurrency: {limit: 2, policy: queue}\ncatchUp: {policy: none, window: 2h, max: 3}\n\
         limits: {memory: 512 MiB, cpuTime: 90, processes: 4, openFiles: 64, output: 1048576}\n\
         environment: {LANG: C, EMPTY: ''}\nonInterrupted: retry\n\
         notifications: {onSuccess: [], onFailure: [ops@example.org, {type: hook, url: x}]}\n",
    ))
    .spec;
    assert_eq!(spec.description.as_deref(), Some("why"));
    assert!(!spec.enabled);
    assert_eq!(spec.timeout, Duration::from_millis(1500));
    let policy = spec.retry_policy.unwrap();
    assert_eq!(
        (policy.max_retries, policy.retry_delay),
        (5, Duration::from_secs(10))
    );
    assert_eq!(
        (policy.backoff, policy.max_delay),
        (Backoff::Exponential, Some(Duration::from_secs(300)))
    );
    assert_eq!(
        (policy.jitter, policy.retry_on),
        (Duration::from_secs(2), vec!["timeout".to_owned()])
    );
    assert_eq!(
        (spec.concurrency.limit, spec.concurrency.policy),
        (2, ConcurrencyPolicy::Queue)
    );
    assert_eq!(
        (spec.catch_up.window, spec.catch_up.max),
        (Duration::from_secs(7200), 3)
    );
    assert_eq!(spec.limits.memory, Some(512 << 20));
    assert_eq!(spec.limits.cpu_time, Some(Duration::from_secs(90)));
    assert_eq!(
        (spec.limits.processes, spec.limits.open_files),
        (Some(4), Some(64))
    );
    assert_eq!(spec.limits.output, Some(1 << 20));
    assert_eq!(spec.environment["EMPTY"], "");
    assert_eq!(spec.notifications.unwrap().on_failure[1]["type"], "hook");
}

#[test]
fn a_key_with_nothing_behind_it_is_as_good_as_left_out() {
    let nothing = "description:\nenabled: ~\ntimeout: null\nschedule:\nretryPolicy:\nparameters:\nmetadata:\n\
                   concurrency:\ncatchUp:\nlimits:\nenvironment:\nnotifications:\nonInterrupted:\nconnection:\n";
    assert_eq!(read(&sql(nothing)).spec, read(&sql("")).spec);
    assert!(!read(&sql(nothing)).configuration.contains_key("connection"));
}

#[test]
fn json_is_the_whole_job_in_todays_spelling() {
    let job = read(&sql(
        "timeout: 10m\nretry_policy: {max_retries: 1, retry_delay: 1500ms}\nparameters: [a=1]\n",
    ));
    let expected = json!({
        "id": "a", "name": "A", "type": "SQL", "query": "SELECT 1", "enabled": true, "timeout": 600,
        "retryPolicy": { "maxRetries": 1, "retryDelay": 1.5, "backoff": "fixed" },
        "parameters": [{ "name": "a", "value": "1" }],
        "concurrency": { "limit": 1, "policy": "skip" },
        "catchUp": { "policy": "latest", "window": 3600, "max": 100 },
        "onInterrupted": "fail",
    });
    assert_eq!(job.to_json(), expected);
}

#[test]
fn anchors_and_aliases_work() {
    let job = read(&sql(
        "metadata: {a: &x [1, 2], b: *x}\nenvironment: &e {A: b}\n",
    ));
    assert_eq!(job.spec.metadata["b"], json!([1, 2]));
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let job = read(&sql(
        "concurrency: {limit: 3, policy: allow}\nretryPolicy: {maxRetries: 1, maxDelay: 5}\n",
    ));
    let found: Vec<_> = job
        .warnings
        .iter()
        .map(|one| (one.code, one.line, one.column))
        .collect();
    assert_eq!(
        found,
        [
            ("no_effect", Some(5), Some(22)),
            ("no_effect", Some(6), Some(40))
        ]
    );
}
