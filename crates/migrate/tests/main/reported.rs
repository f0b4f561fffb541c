//! What can't be migrated is reported with its reason and its row; and what is
//! kept disabled has lost nothing.

use jobcell_migrate::{Options, Reason, Report};
use serde_json::{Value, json};

use crate::support::{broken, configured, convert, migrated, options, read, row, scheduled, types};

/// That a row is reported for this reason, with and without `keep_broken`.
#[track_caller]
fn never_migrated(row: &Value, expected: fn(&Reason) -> bool) {
    let types = types();
    for keep_broken in [false, true] {
        let options = Options {
            keep_broken,
            ..options(&types)
        };
        let broken = broken(row, &options);
        assert!(broken.reasons.iter().any(expected), "{:?}", broken.reasons);
        assert!(!broken.keepable);
        assert_eq!(&broken.raw, row);
    }
}

/// That a row is reported for this reason, and kept disabled where asked for.
#[track_caller]
fn kept_disabled(row: &Value, reason: &str) -> String {
    let types = types();
    let reported = broken(row, &options(&types));
    let told = reported
        .reasons
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert!(told.iter().any(|told| told.contains(reason)), "{told:?}");
    assert!(reported.keepable);
    let kept = migrated(
        row,
        &Options {
            keep_broken: true,
            ..options(&types)
        },
    );
    assert!(!kept.enabled);
    assert_eq!(kept.broken, reported.reasons);
    assert!(!read(&kept.yaml, &types).spec.enabled);
    assert!(kept.yaml.contains("# kept disabled: "), "{}", kept.yaml);
    kept.yaml
}

#[test]
fn a_job_without_a_script_is_never_a_placeholder() {
    for configuration in [
        json!({ "timeout": 300 }),
        json!({ "script_content": " \n", "script_path": "" }),
    ] {
        never_migrated(&configured("powershell", &configuration), |reason| {
            *reason == Reason::NoScript
        });
    }
    for configuration in [
        json!({ "sql_query": null, "timeout": 3 }),
        json!({ "basic": {}, "sql": { "query": "\t" } }),
    ] {
        never_migrated(&configured("sql", &configuration), |reason| {
            *reason == Reason::NoQuery
        });
    }
    let other = json!({ "sql": { "query": "SELECT 1" } });
    never_migrated(&configured("powershell", &other), |reason| {
        *reason == Reason::NoScript
    });
}

#[test]
fn a_configuration_that_is_none_is_reported() {
    for text in [json!(null), json!(""), json!("{}"), json!("null")] {
        never_migrated(&row(json!({ "configuration": text })), |reason| {
            *reason == Reason::NoConfiguration
        });
    }
    for text in [
        "{\"script\": ",
        "{'script': 'x'}",
        "{\"script\": \"\\ud800\"}",
        "NaN",
    ] {
        never_migrated(&row(json!({ "configuration": text })), |reason| {
            matches!(reason, Reason::NotJson { .. })
        });
    }
    for text in ["[]", "7", "\"text\""] {
        never_migrated(&row(json!({ "configuration": text })), |reason| {
            matches!(reason, Reason::NotAnObject { .. })
        });
    }
    never_migrated(
        &configured("powershell", &json!({ "script": ["Get-Date"] })),
        |reason| matches!(reason, Reason::NotText { .. }),
    );
}

#[test]
fn an_unknown_type_is_reported() {
    never_migrated(&row(json!({ "job_type": "agent_job" })), |reason| {
        matches!(reason, Reason::UnknownType { .. })
    });
    never_migrated(&row(json!({ "job_type": null })), |reason| {
        *reason == Reason::NoType
    });
}

#[test]
fn a_script_that_v2_can_not_hold_is_reported() {
    let nul = configured("powershell", &json!({ "script": "Get-Date\u{0}" }));
    never_migrated(&nul, |reason| matches!(reason, Reason::Refused { .. }));
    let huge = configured("powershell", &json!({ "script": "#".repeat(2 << 20) }));
    never_migrated(&huge, |reason| matches!(reason, Reason::Refused { .. }));
    let relative = configured("powershell", &json!({ "script_path": "scripts\\a.ps1" }));
    never_migrated(&relative, |reason| {
        matches!(reason, Reason::RelativePath { .. })
    });
}

#[test]
fn a_type_that_is_not_installed_is_reported() {
    let types = types();
    let only_sql: Vec<_> = types
        .into_iter()
        .filter(|known| known.name() == "SQL")
        .collect();
    let broken = broken(&row(json!({})), &options(&only_sql));
    assert!(
        broken.reasons[0]
            .to_string()
            .contains("`PowerShell` is not installed")
    );
}

#[test]
fn an_unknown_zone_is_an_error_for_its_job_and_never_utc() {
    let yaml = kept_disabled(
        &scheduled("cron", "0 0 9 * * ?", "Mars/Olympus"),
        "`Mars/Olympus` is not known",
    );
    assert!(
        !yaml.contains("\nschedule:") && !yaml.contains("UTC"),
        "{yaml}"
    );
    assert!(yaml.contains("notMigrated:\n    schedule:\n      expression: \"0 0 9 * * ?\"\n      timezone: Mars/Olympus"), "{yaml}");
    // Nothing reads that zone.
    migrated(
        &row(json!({ "timezone": "Mars/Olympus" })),
        &options(&types()),
    );
}

#[test]
fn a_schedule_that_can_not_be_read_is_reported() {
    for (kind, expression, reason) in [
        ("interval", "0d 0h 0m 0s", "every second"),
        ("interval", "often", "can't be read"),
        ("cron", "0 0 0 1 1 ? 2027", "7 fields"),
        ("cron", "0 0 25 * * ?", "hour"),
        ("date", "soon", "no date"),
        ("weekly", "1", "type `weekly`"),
    ] {
        kept_disabled(&scheduled(kind, expression, "UTC"), reason);
    }
    for (schedule, reason) in [
        (json!({ "type": "cron" }), "`cron` is missing"),
        (
            json!({ "type": "interval", "interval": {} }),
            "every second",
        ),
        (json!({ "type": "interval" }), "`interval` is missing"),
        (json!({ "type": "once" }), "`run_date` is missing"),
        (json!({ "timezone": "UTC" }), "`type` is missing"),
        (json!("daily"), "not an object"),
        (json!([1]), "not an object"),
        (
            json!({ "type": "interval", "interval": { "days": 1 }, "start_date": "2025-01-02", "end_date": "2025-01-01" }),
            "ends before",
        ),
    ] {
        let configuration = json!({ "script": "Get-Date", "schedule": schedule });
        kept_disabled(&configured("powershell", &configuration), reason);
    }
}

#[test]
fn parameters_without_names_are_reported_and_kept() {
    let configuration = json!({ "script": "x", "parameters": ["-Message", "Hello", "World"] });
    let yaml = kept_disabled(
        &configured("powershell", &configuration),
        "`World` stands without a name",
    );
    assert!(
        yaml.contains(
            "notMigrated:\n    parameters:\n      - \"-Message\"\n      - Hello\n      - World\n"
        ),
        "{yaml}"
    );
}

#[test]
fn numbers_policies_and_folders_that_can_not_be_used_are_reported() {
    for (key, value, reason) in [
        ("timeout", json!("soon"), "`timeout` is `soon`"),
        ("timeout", json!(0), "above 0"),
        ("max_retries", json!("many"), "whole number"),
        ("execution_policy", json!("Lax"), "`Lax` is none"),
        (
            "working_directory",
            json!("scripts"),
            "`scripts` is relative",
        ),
    ] {
        let yaml = kept_disabled(
            &configured("powershell", &json!({ "script": "x", key: value })),
            reason,
        );
        assert!(
            yaml.contains(&format!("notMigrated:\n    {key}: ")),
            "{yaml}"
        );
    }
    let configuration = json!({ "script": "x", "max_retries": 1, "retry_delay": "soon" });
    kept_disabled(
        &configured("powershell", &configuration),
        "`retry_delay` is `soon`",
    );
}

#[test]
fn a_connection_string_is_neither_shown_nor_taken_for_the_default_connection() {
    let own = json!({ "query": "SELECT 1", "connection_string": "Server=db;PWD=hunter2" });
    let yaml = kept_disabled(&configured("sql", &own), "connection string");
    assert!(
        !yaml.contains("hunter2") && !yaml.contains("connection: "),
        "{yaml}"
    );
    let named = json!({ "query": "SELECT 1", "connection_string": "Server=db;PWD=hunter2", "connection_name": "sales" });
    let job = migrated(&configured("sql", &named), &options(&types()));
    assert!(
        job.yaml.contains("connection: sales") && !job.yaml.contains("hunter2"),
        "{}",
        job.yaml
    );
}

#[test]
fn whether_a_job_may_run_is_kept() {
    let types = types();
    let enabled =
        |value: Value| migrated(&row(json!({ "enabled": value })), &options(&types)).enabled;
    for yes in [json!(true), json!(1), json!("true"), json!("1")] {
        assert!(enabled(yes));
    }
    for no in [
        json!(false),
        json!(0),
        json!("False"),
        json!(null),
        json!("maybe"),
    ] {
        assert!(!enabled(no));
    }
}

#[test]
fn jobs_that_clash_get_numbers_and_ids_are_kept() {
    let types = types();
    let ids = [
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3302",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3303",
    ];
    let mut rows: Vec<Value> = ids
        .iter()
        .map(|id| row(json!({ "job_id": id, "name": "System Test SQL Job" })))
        .collect();
    rows.insert(
        1,
        row(json!({ "job_id": "broken", "name": "System Test SQL Job", "configuration": "{}" })),
    );
    let report = convert(&rows, &options(&types));
    assert_eq!((report.migrated().count(), report.broken().count()), (3, 1));
    let keys: Vec<&str> = report.migrated().map(|job| job.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "SYSTEM-TEST-SQL-JOB",
            "SYSTEM-TEST-SQL-JOB-2",
            "SYSTEM-TEST-SQL-JOB-3"
        ]
    );
    let kept: Vec<String> = report
        .migrated()
        .map(|job| job.job_id.to_string())
        .collect();
    assert_eq!(kept, ids);
    let second = report.migrated().nth(1).unwrap();
    assert!(second.yaml.contains("# another job has the name `System Test SQL Job` already\nname: System Test SQL Job (2)"), "{}", second.yaml);
}

#[test]
fn a_second_migration_gives_every_job_the_same_id_and_name() {
    let types = types();
    let rows: Vec<Value> = (0..3)
        .map(|index| row(json!({ "job_id": format!("3f2504e0-4f89-41d3-9a0c-0305e82c330{index}"), "name": "Same" })))
        .chain([row(json!({ "job_id": "no uuid", "name": "Same" }))])
        .collect();
    let first = convert(&rows, &options(&types));
    let mut again = options(&types);
    for job in first.migrated() {
        again.taken.keys.insert(job.key.clone(), job.job_id);
        again.taken.names.insert(job.name.clone(), job.job_id);
    }
    assert_eq!(convert(&rows, &again), first);
    // Nor does the order of the rows matter then.
    let rows: Vec<Value> = rows.into_iter().rev().collect();
    let outcomes = first.outcomes.into_iter().rev().collect();
    assert_eq!(convert(&rows, &again), Report { outcomes });
}

#[test]
fn what_v2_has_no_key_for_is_named_and_an_enabled_job_is_remembered() {
    let types = types();
    let configuration = json!({ "script": "x", "run_as": "DOMAIN\\user", "surprise": { "a": 1 }, "query_timeout": "", "is_running": true });
    let job = migrated(&configured("powershell", &configuration), &options(&types));
    let notes: Vec<&str> = job.notes.iter().map(|note| note.text.as_str()).collect();
    assert!(
        notes.contains(&"V1 had `run_as: DOMAIN\\user`; V2 runs jobs as the account of its server"),
        "{notes:?}"
    );
    assert!(
        notes.contains(&"not carried over, as V2 has no key for it: surprise"),
        "{notes:?}"
    );
    assert!(
        !notes
            .iter()
            .any(|note| note.contains("query_timeout") || note.contains("is_running"))
    );
    let past = migrated(
        &scheduled("date", "2025-09-01T09:00:00", "UTC"),
        &options(&types),
    );
    assert!(!past.enabled && past.yaml.contains("originalEnabled: true"));
}
