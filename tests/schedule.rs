//! Schedules in the real binary: they fire by the clock on the wall, once for
//! each instant whatever crashes, and can be seen ahead.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Server, eventually, run, text};

const TICKS: &str = "id: ticks\nname: Ticks\ntype: SQL\nquery: SELECT 1\n\
    schedule: {type: cron, expression: \"* * * * * *\", timezone: UTC}\n\
    catchUp: {policy: all, window: 10m, max: 100}\nconcurrency: {policy: allow}\n";

fn history(server: &Server, job: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut path = format!("/api/v2/jobs/{job}/history?limit=200");
    loop {
        let page = server.get(&path).json();
        rows.extend(
            page["execution_history"]
                .as_array()
                .unwrap()
                .iter()
                .cloned(),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            return rows;
        };
        path = format!("/api/v2/jobs/{job}/history?limit=200&cursor={cursor}");
    }
}

/// How many runs each instant became.
fn by_instant(rows: &[Value]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for row in rows {
        if let Some(at) = row["scheduled_time"].as_str() {
            *found.entry(at.to_owned()).or_insert(0) += 1;
        }
    }
    found
}

#[test]
fn every_second_fires_once_through_crashes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&data);
    server.create(TICKS);
    for kills in 1..=3 {
        eventually("some firings", || {
            (history(&server, "ticks").len() >= 2 * kills).then_some(())
        });
        server.kill();
        server = Server::start(&data);
    }
    let rows = eventually("all to end", || {
        let rows = history(&server, "ticks");
        let done = rows.len() > 6 && rows.iter().all(|row| row["end_time"].is_string());
        done.then_some(rows)
    });
    let instants = by_instant(&rows);
    assert!(instants.values().all(|count| *count == 1), "{instants:#?}");
    // None was lost either: whole seconds without a hole, crashes or not.
    let seconds: Vec<i64> = instants
        .keys()
        .map(|at| {
            chrono::DateTime::parse_from_rfc3339(at)
                .unwrap()
                .timestamp()
        })
        .collect();
    let holes = seconds.windows(2).filter(|pair| pair[1] - pair[0] != 1);
    assert_eq!(holes.count(), 0, "{seconds:?}");
}

#[test]
fn disabling_stops_the_next_firing_and_enabling_plans_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(TICKS);
    eventually("a firing", || {
        (!history(&server, "ticks").is_empty()).then_some(())
    });
    let off = server.post("/api/v2/jobs/ticks/disable").json();
    assert_eq!(
        (&off["success"], &off["enabled"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(off["next_scheduled_time"], Value::Null);
    let job = server.get("/api/v2/jobs/ticks").json()["job"].clone();
    assert_eq!(job["next_scheduled_time"], Value::Null);
    assert!(!history(&server, "ticks").is_empty(), "history stays");
    let on = server.post("/api/v2/jobs/ticks/enable").json();
    assert!(on["next_scheduled_time"].is_string(), "{on}");
    assert_eq!(server.post("/api/v2/jobs/none/enable").status, 404);
}

#[test]
fn what_comes_is_shown_with_its_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(
        "id: night\nname: Night\ntype: SQL\nquery: SELECT 1\n\
         schedule: {type: cron, expression: \"30 2 * * *\", timezone: Europe/Berlin}\n",
    );
    let path = "/api/v2/jobs/night/schedule/preview?from=2027-03-27T12:00:00Z&limit=2";
    let shown = server.get(path).json();
    let firings = &shown["firings"];
    assert_eq!(firings[0]["time"], "2027-03-28T01:00:00.000000+00:00");
    assert_eq!(firings[0]["local_time"], "2027-03-28T03:00:00+02:00");
    assert_eq!(firings[0]["reasons"][0]["kind"], "gap", "{shown}");
    assert_eq!(firings[1]["time"], "2027-03-29T00:30:00.000000+00:00");
    assert_eq!(firings[1]["reasons"], json!([]));
    assert!(shown["zone_database"].is_string());
    let bad = server.get("/api/v2/jobs/night/schedule/preview?from=tomorrow");
    assert_eq!(bad.status, 400, "{}", bad.text);
}

#[test]
fn explain_lists_instants_for_people_and_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let zone = [
        "schedule",
        "explain",
        "--cron",
        "30 2 * * *",
        "--timezone",
        "Europe/Berlin",
    ];
    let span = ["--from", "2027-10-30T12:00:00Z", "--count", "2"];
    let arguments = [&zone[..], &span[..], &["--format", "json"]].concat();
    let output = run(&arguments, folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(
        rows[0]["time"], "2027-10-31T00:30:00Z",
        "the first of the two"
    );
    assert_eq!(rows[1]["time"], "2027-11-01T01:30:00Z");
    let output = run(&[&zone[..], &span[..]].concat(), folder.path());
    assert!(text(&output.stdout).contains("the first of two times"));

    let never = run(
        &["schedule", "explain", "--cron", "0 0 30 2 *"],
        folder.path(),
    );
    assert_eq!(never.status.code(), Some(3));
    assert!(text(&never.stderr).contains("never fires"));
    let zone = [
        "schedule",
        "explain",
        "--cron",
        "@daily",
        "--timezone",
        "Mars/Base",
    ];
    assert_eq!(run(&zone, folder.path()).status.code(), Some(2));
    assert_eq!(
        run(&["schedule", "explain"], folder.path()).status.code(),
        Some(2)
    );
}

#[test]
fn what_has_no_effect_yet_is_said_when_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let yaml = "id: a\nname: A\ntype: SQL\nquery: SELECT 1\nlimits: {memory: 1 GiB}\n\
                notifications: {onFailure: [ops@example.com]}\n";
    let created = server.send("POST", "/api/v2/jobs", "application/yaml", yaml.as_bytes());
    assert_eq!(created.status, 201, "{}", created.text);
    let warnings = created.json()["warnings"].clone();
    let places: Vec<&Value> = warnings
        .as_array()
        .unwrap()
        .iter()
        .filter(|warning| warning["code"] == "no_effect")
        .map(|warning| &warning["pointer"])
        .collect();
    assert_eq!(places, ["/limits", "/notifications"], "{warnings}");
    let excluded = "id: b\nname: B\ntype: SQL\nquery: SELECT 1\n\
        schedule: {type: cron, expression: '@daily', exclude: [holidays]}\n";
    let refused = server.send(
        "POST",
        "/api/v2/jobs",
        "application/yaml",
        excluded.as_bytes(),
    );
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(
        refused.text.contains("`holidays` is not known"),
        "{}",
        refused.text
    );
}
