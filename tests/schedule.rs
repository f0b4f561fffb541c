//! Schedules in the real binary: they fire by the clock on the wall, once for
//! each instant whatever crashes, and can be seen ahead.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions, eventually, run, text};

const TICKS: &str = "id: ticks\nname: Ticks\ntype: SQL\nquery: SELECT 1\n\
    schedule: {type: cron, expression: \"* * * * * *\", timezone: UTC}\n\
    catchUp: {policy: all, window: 10m, max: 100}\nconcurrency: {policy: allow}\n";

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
            (server.history("ticks").len() >= 2 * kills).then_some(())
        });
        server.kill();
        server = Server::start(&data);
    }
    let rows = eventually("all to end", || {
        let rows = server.history("ticks");
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
        (!server.history("ticks").is_empty()).then_some(())
    });
    let off = server.post("/api/v2/jobs/ticks/disable").json();
    assert_eq!(
        (&off["success"], &off["enabled"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(off["next_scheduled_time"], Value::Null);
    let job = server.get("/api/v2/jobs/ticks").json()["job"].clone();
    assert_eq!(job["next_scheduled_time"], Value::Null);
    assert!(!server.history("ticks").is_empty(), "history stays");
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
    for bad in ["from=tomorrow", "until=never", "down=2027-03-27T12:00:00Z"] {
        let path = format!("/api/v2/jobs/night/schedule/preview?{bad}");
        let refused = server.get(&path);
        assert_eq!(refused.status, 400, "{}", refused.text);
    }
    let down = "from=2027-03-27T12:00:00Z&until=2027-03-29T12:00:00Z\
        &down=2027-03-28T00:00:00Z/2027-03-28T02:00:00Z";
    let shown = server.get(&format!("/api/v2/jobs/night/schedule/preview?{down}"));
    let shown = shown.json();
    let firings = shown["firings"].as_array().unwrap();
    assert_eq!(firings.len(), 2, "{shown}");
    let kinds: Vec<&Value> = firings[0]["reasons"].as_array().unwrap().iter().collect();
    assert_eq!(kinds[0]["kind"], "gap");
    assert_eq!(kinds[1]["kind"], "caught_up");
    assert_eq!(kinds[1]["at"], "2027-03-28T02:00:00Z");
    assert_eq!(firings[0]["takes_place"], true);
}

#[test]
fn explain_tells_what_calendars_and_outages_do_to_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("jobcell.yaml");
    let calendars = "calendars:\n  holidays:\n    dates: [2027-12-25]\n\
        \x20   windows: [\"2027-12-27T00:00/2027-12-28T00:00\"]\n";
    std::fs::write(&config, calendars).unwrap();
    let job = folder.path().join("job.yaml");
    let yaml = "id: a\nname: A\ntype: SQL\nquery: SELECT 1\n\
        schedule: {type: cron, expression: \"0 6 * * *\", exclude: [holidays]}\n\
        catchUp: {policy: none}\n";
    std::fs::write(&job, yaml).unwrap();
    let arguments = [
        "schedule",
        "explain",
        job.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--from",
        "2027-12-24T12:00:00Z",
        "--until",
        "2027-12-29T12:00:00Z",
        "--down",
        "2027-12-28T00:00:00Z/2027-12-28T12:00:00Z",
    ];
    let output = run(&arguments, folder.path());
    let shown = text(&output.stdout);
    let days: Vec<&str> = shown.lines().map(|line| &line[..10]).collect();
    let expected = [
        "2027-12-25",
        "2027-12-26",
        "2027-12-27",
        "2027-12-28",
        "2027-12-29",
    ];
    assert_eq!(days[..5], expected, "{shown}");
    let line = |number: usize| shown.lines().nth(number).unwrap();
    assert!(
        line(0).contains("excluded by the calendar `holidays`"),
        "{shown}"
    );
    assert!(
        line(2).contains("excluded by the calendar `holidays`"),
        "{shown}"
    );
    assert!(line(3).contains("missed, and not made up for"), "{shown}");
    let output = run(
        &[&arguments[..], &["--format", "json"]].concat(),
        folder.path(),
    );
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let placed: Vec<&Value> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["takes_place"])
        .collect();
    assert_eq!(placed, [false, true, false, false, true]);
}

#[test]
fn calendars_keep_jobs_from_firing_and_limits_by_type_are_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        "calendars:\n  always:\n    windows: [\"* 00:00-24:00\"]\njobTypes:\n  SQL: {runs: 1}\n";
    let options = ServerOptions {
        configuration: Some(settings.to_owned()),
        ..ServerOptions::default()
    };
    let server = Server::start_with(&folder.path().join("data"), options);
    server.create(
        "id: never\nname: N\ntype: SQL\nquery: SELECT 1\n\
        schedule: {type: cron, expression: \"* * * * * *\", exclude: [always]}\n",
    );
    server.create(
        "id: long\nname: L\ntype: SQL\nquery: |\n  WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL\n  \
        SELECT x + 1 FROM c) SELECT count(*) FROM c\n",
    );
    let started = server.send(
        "POST",
        "/api/v2/jobs/long/run?wait=false",
        "application/json",
        b"",
    );
    assert_eq!(started.status, 202, "{}", started.text);
    let refused = server.send("POST", "/api/v2/jobs/never/run", "application/json", b"");
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert_eq!(refused.json()["code"], "job_type_busy");
    assert!(
        refused.headers.contains_key("retry-after"),
        "{}",
        refused.text
    );
    let never = server.get("/api/v2/jobs/never").json();
    assert_eq!(never["job"]["next_scheduled_time"], Value::Null);
    assert_eq!(server.history("never").len(), 0);
    drop(server);
    let config = folder.path().join("jobcell.yaml");
    std::fs::write(&config, "jobTypes:\n  Sql: {runs: 1}\n").unwrap();
    let arguments = ["serve", "--config", config.to_str().unwrap()];
    let output = run(&arguments, folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there is no job type `Sql`"));
}

#[test]
fn a_chain_of_jobs_runs_in_the_real_binary() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let job =
        |id: &str, keys: &str| format!("id: {id}\nname: J\ntype: SQL\nquery: SELECT 1\n{keys}");
    let created = server.send(
        "POST",
        "/api/v2/jobs",
        "application/yaml",
        job("last", "after: [{job: first}]\n").as_bytes(),
    );
    let warnings = created.json()["warnings"].clone();
    assert_eq!(warnings[0]["code"], "unknown_job", "{warnings}");
    assert_eq!(warnings[0]["pointer"], "/after/0/job");
    server.create(&job("first", ""));
    let ran = server.send("POST", "/api/v2/jobs/first/run", "application/json", b"");
    let parent = ran.json()["execution_id"].clone();
    let rows = eventually("the follower", || {
        let rows = server.history("last");
        rows.first()
            .is_some_and(|row| row["status"] == "success")
            .then_some(rows)
    });
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["triggered_by"], parent);
    assert_eq!(rows[0]["execution_mode"], "dependency");
    let figures = server.get("/api/v2/jobs/last").json()["job"].clone();
    assert!(
        figures["p95_duration_seconds"].as_f64().unwrap() > 0.0,
        "{figures}"
    );
    let circle = server.send(
        "PUT",
        "/api/v2/jobs/first",
        "application/yaml",
        job("first", "after: [{job: last}]\n").as_bytes(),
    );
    assert_eq!(circle.status, 422, "{}", circle.text);
    assert_eq!(circle.json()["errors"][0]["code"], "dependency_cycle");
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
    let yaml = "id: a\nname: A\ntype: SQL\nquery: SELECT 1\n\
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
    assert_eq!(places, ["/notifications"], "{warnings}");
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
