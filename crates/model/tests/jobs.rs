//! What a job may say, and what is answered to one that says it wrong.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use jobcell_model::schedule::Trigger;
use jobcell_model::{
    ConcurrencyPolicy, JobDocument, JobTypeSchema, Location, Problem, job_schema, parse_job,
};
use proptest::prelude::*;
use serde_json::json;

fn types() -> Vec<JobTypeSchema> {
    let powershell = json!({
        "type": "object",
        "properties": {
            "executionMode": { "enum": ["inline", "script"] },
            "inlineScript": { "type": "string", "pattern": "\\S" },
            "scriptPath": { "type": "string", "pattern": "\\S" },
            "executionPolicy": { "type": "string" },
            "workingDirectory": { "type": "string" },
        },
        "required": ["executionMode"],
        "allOf": [
            {
                "if": { "properties": { "executionMode": { "const": "inline" } } },
                "then": { "required": ["inlineScript"] },
            },
        ],
    });
    let sql = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "pattern": "\\S" },
            "connection": { "type": "string" },
        },
        "required": ["query"],
    });
    [("PowerShell", powershell), ("SQL", sql)]
        .map(|(name, schema)| JobTypeSchema {
            name: name.to_owned(),
            schema,
        })
        .into()
}

fn read(yaml: &str) -> JobDocument {
    parse_job(yaml, &types()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn sql(lines: &str) -> String {
    format!("id: a\nname: A\ntype: SQL\nquery: SELECT 1\n{lines}")
}

fn problems(yaml: &str) -> Vec<Problem> {
    parse_job(yaml, &types())
        .err()
        .unwrap_or_else(|| panic!("it is valid:\n{yaml}"))
}

/// Asserts one problem: its code, its place, words of its message or hint.
fn refused(yaml: &str, code: &str, place: (u32, u32), words: &[&str]) {
    let problems = problems(yaml);
    let found = problems.iter().find(|problem| problem.code == code);
    let found = found.unwrap_or_else(|| panic!("no {code} in {problems:#?}"));
    assert_eq!(
        (found.line, found.column),
        (Some(place.0), Some(place.1)),
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

fn sample(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

#[test]
fn the_guides_jobs_are_read_as_written() {
    let job = read(&sample("powershell-health-check.yaml"));
    assert_eq!(job.spec.id, "PS-001");
    assert_eq!(job.spec.timeout, Duration::from_secs(300));
    assert_eq!(job.spec.max_retries(), 3);
    assert_eq!(job.spec.parameters[0].name, "LogLevel");
    let schedule = job.spec.schedule.unwrap();
    assert_eq!(schedule.trigger, Trigger::Cron("0 */6 * * *".to_owned()));
    assert!(
        job.configuration["inlineScript"]
            .as_str()
            .unwrap()
            .ends_with("$(Get-Date)\"\n")
    );
    assert_eq!(
        read(&sample("sql-maintenance.yaml")).spec.timeout,
        Duration::from_secs(600)
    );
}

#[test]
fn spellings_of_the_original_are_understood() {
    let job = read(
        "id: o\nname: O\ntype: Powershell\nexecution_mode: inline\ninline_script: x\n\
         execution_policy: Bypass\nretry_policy: {max_retries: 2, retry_delay: 5}\n\
         schedule: {type: cron, cron: '0 0 12 * * ?'}\nparameters: ['A=1', 'B=x=y']\n",
    );
    assert_eq!(job.spec.job_type, "PowerShell");
    assert_eq!(job.configuration["executionPolicy"], "Bypass");
    assert_eq!(job.spec.max_retries(), 2);
    assert_eq!(job.spec.parameters[1].value, "x=y");
    assert_eq!(job.to_json()["schedule"]["expression"], "0 0 12 * * ?");
    assert_eq!(
        job.locate("/inlineScript"),
        Some(Location {
            line: 5,
            column: 16
        })
    );
    let mapping = read(&sql("parameters: {n: 1, t: true, s: '1', z: 007}\n"));
    let values: Vec<_> = mapping
        .spec
        .parameters
        .iter()
        .map(|one| one.value.clone())
        .collect();
    assert_eq!(values, [json!(1), json!(true), json!("1"), json!("007")]);
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
    assert_eq!(spec.catch_up.window, Duration::from_secs(3600));
    assert_eq!(spec.timezone(), "UTC");
}

#[test]
fn schedules_are_checked() {
    let schedule = |text: &str| sql(&format!("schedule: {text}\n"));
    let once = "{type: once, at: '2027-03-01 09:00', timezone: America/New_York}";
    let spec = read(&schedule(once)).spec;
    let at = "2027-03-01T14:00:00Z".parse().unwrap();
    assert_eq!(spec.schedule.unwrap().trigger, Trigger::Once(at));
    let spec = read(&schedule(
        "{type: interval, interval: {hours: 1, minutes: 30}}",
    ))
    .spec;
    assert_eq!(
        spec.schedule.unwrap().trigger,
        Trigger::Interval(Duration::from_secs(5400))
    );
    read(&schedule(
        "{type: interval, every: 1h30m, startDate: '2027-01-01T00:00:00Z'}",
    ));

    refused(
        &schedule("{type: cron, expression: '0 0 30 2 *'}"),
        "never_fires",
        (5, 36),
        &["never"],
    );
    refused(
        &schedule("{type: cron, expression: '61 * * * *'}"),
        "bad_cron",
        (5, 36),
        &["61"],
    );
    refused(
        &schedule("{type: cron}"),
        "missing_key",
        (5, 11),
        &["expression"],
    );
    refused(
        &schedule("{type: interval, every: 0}"),
        "out_of_range",
        (5, 11),
        &["longer"],
    );
    refused(
        &schedule("{type: weekly}"),
        "not_allowed",
        (5, 18),
        &["cron, interval, once"],
    );
    let zone = "{type: cron, expression: '0 0 * * *', timezone: Europe/Berln}";
    refused(
        &schedule(zone),
        "unknown_zone",
        (5, 59),
        &["Europe/Berln", "Europe/Berlin"],
    );
    let gap = "{type: once, at: '2027-03-28T02:30', timezone: Europe/Berlin}";
    refused(&schedule(gap), "bad_date", (5, 28), &["does not exist"]);
}

#[test]
fn every_mistake_is_found_in_one_pass_in_the_order_of_the_text() {
    let problems = problems("id: a/b\nnam: A\ntype: SQL\nqueri: x\ntimeout: -5\nenabled: maybe\n");
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| problem.line.unwrap())
        .collect();
    let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    assert!(lines.is_sorted(), "{problems:#?}");
    assert!(
        !codes.contains(&"missing_key"),
        "a misspelled key is one mistake: {codes:?}"
    );
    for code in ["bad_id", "unknown_key", "out_of_range", "wrong_type"] {
        assert!(codes.contains(&code), "{code} is not in {codes:?}");
    }
}

#[test]
fn mistakes_are_shown_with_their_place_and_a_way_out() {
    refused(
        "id: a\nid: b\nname: A\ntype: SQL\nquery: x\n",
        "duplicate_key",
        (2, 1),
        &["line 1"],
    );
    refused(
        &sql("execution_mode: x\n"),
        "unknown_key",
        (5, 1),
        &["execution_mode"],
    );
    refused(
        &sql("timeOut: 3\n"),
        "unknown_key",
        (5, 1),
        &["did you mean `timeout`?"],
    );
    refused(&sql("timeout: -5\n"), "out_of_range", (5, 10), &["seconds"]);
    refused(&sql("timeout: 0\n"), "out_of_range", (5, 10), &["longer"]);
    refused(
        &sql("enabled: 'yes'\n"),
        "wrong_type",
        (5, 10),
        &["true or false", "text"],
    );
    refused(
        &sql("retryPolicy: {maxRetries: -1}\n"),
        "out_of_range",
        (5, 27),
        &["maxRetries"],
    );
    refused(
        &sql("parameters: [{name: x}]\n"),
        "missing_key",
        (5, 14),
        &["value"],
    );
    refused(
        &sql("environment: {A: 1}\n"),
        "wrong_type",
        (5, 18),
        &["quotes"],
    );
    refused(
        "id: a\nname: A\ntype: SQL\nquery: '  '\n",
        "empty",
        (4, 8),
        &["query"],
    );
    refused(
        "id: a\nname: A\ntype: SQL\n",
        "missing_key",
        (1, 1),
        &["query"],
    );
    refused(
        "id: a\nname: A\ntype: SQL\nquery: 5\n",
        "wrong_type",
        (4, 8),
        &["query", "string"],
    );
    refused(
        "id: a\nname: A\ntype: PowerShell\nexecutionMode: inline\n",
        "missing_key",
        (1, 1),
        &["inlineScript"],
    );
    refused(
        "id: a\nname: A\ntype: PowerShell\nexecutionMode: out\n",
        "not_allowed",
        (4, 16),
        &["inline, script"],
    );
    refused(
        "id: a\nname: A\ntype: SLQ\nquery: x\n",
        "unknown_type",
        (3, 7),
        &["PowerShell, SQL"],
    );
    refused(
        "id: 5\nname: A\ntype: SQL\nquery: x\n",
        "wrong_type",
        (1, 5),
        &["quotes"],
    );
    refused("- a\n", "wrong_type", (1, 1), &["mapping"]);
    refused("", "empty", (1, 1), &["`id`"]);
    refused("...", "empty", (1, 1), &["`id`"]);
    refused("id: [\n", "syntax", (1, 5), &["YAML"]);
    refused(
        "id: a\n---\nid: b\n",
        "several_documents",
        (2, 1),
        &["file of its own"],
    );
    refused("a: \0", "syntax", (1, 1), &["NUL"]);
    for id in [
        "samples",
        "..",
        "'a/b'",
        "' a'",
        "018f4e6a-7f7f-7000-8000-000000000000",
    ] {
        let yaml = format!("id: {id}\nname: A\ntype: SQL\nquery: x\n");
        assert_eq!(problems(&yaml)[0].code, "bad_id", "{id}");
    }
}

#[test]
fn both_spellings_of_one_key_are_a_duplicate() {
    let both = sql("retryPolicy: {maxRetries: 1}\nretry_policy: {max_retries: 2}\n");
    refused(&both, "duplicate_key", (6, 1), &["retry_policy"]);
}

#[test]
fn bombs_are_refused_at_once() {
    let before = std::time::Instant::now();
    let mut bomb = "a: &a0 [x, x]\n".to_owned();
    for level in 1..40 {
        bomb += &format!("b{level}: &a{level} [*a{}, *a{}]\n", level - 1, level - 1);
    }
    assert_eq!(problems(&bomb)[0].code, "too_large");
    let deep = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(problems(&deep)[0].code, "too_deep");
    let deeper = format!("a: {}{}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(["syntax", "too_deep"].contains(&problems(&deeper)[0].code));
    assert_eq!(problems(&"x".repeat(2 << 20))[0].code, "too_large");
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "{:?}",
        before.elapsed()
    );
}

#[test]
fn a_place_inside_a_block_is_a_place_in_the_text() {
    let job = read("id: a\nname: A\ntype: SQL\nquery: |\n  SELECT 1;\n  SELEC 2;\n");
    assert_eq!(
        job.locate_within("/query", 2, 3),
        Some(Location { line: 6, column: 5 })
    );
    let quoted = read(&sql(""));
    assert_eq!(
        quoted.locate_within("/query", 1, 4),
        Some(Location { line: 4, column: 8 })
    );
}

#[test]
fn the_schema_takes_what_is_right_and_refuses_what_is_wrong() {
    let schema = job_schema(&types());
    let validator = jsonschema::validator_for(&schema).unwrap();
    for name in [
        "powershell-health-check.yaml",
        "sql-maintenance.yaml",
        "sql-check.yaml",
    ] {
        assert!(validator.is_valid(&read(&sample(name)).to_json()), "{name}");
    }
    let mut job = read(&sql("")).to_json();
    assert!(validator.is_valid(&job));
    job["typo"] = json!(1);
    assert!(!validator.is_valid(&job));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        drop(parse_job(&text, &types()));
    }

    #[test]
    fn no_change_of_a_job_makes_it_panic(at in 0_usize..600, text in "[\\x00-\\x7fäöü]{0,8}", cut in 0_usize..20) {
        let mut job = sample("powershell-health-check.yaml");
        let at = (0..=at.min(job.len())).rev().find(|&at| job.is_char_boundary(at)).unwrap();
        let end = (at..=(at + cut).min(job.len())).rev().find(|&end| job.is_char_boundary(end)).unwrap();
        job.replace_range(at..end, &text);
        if let Err(problems) = parse_job(&job, &types()) {
            let lines = u32::try_from(job.lines().count() + 2).unwrap();
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| problem.line.is_some_and(|line| line <= lines)));
        }
    }

    #[test]
    fn a_script_in_a_block_comes_out_as_it_went_in(script in "[ -~äöü]{0,60}(\n[ -~äöü]{1,60}){0,5}") {
        prop_assume!(!script.trim().is_empty() && !script.starts_with(' '));
        let indented: Vec<String> = script.lines().map(|line| format!("  {line}")).collect();
        let yaml = format!("id: a\nname: A\ntype: SQL\nquery: |2\n{}\n", indented.join("\n"));
        let found = read(&yaml).configuration["query"].as_str().unwrap().to_owned();
        prop_assert_eq!(found.trim_end_matches('\n'), script.trim_end_matches('\n'));
    }
}
