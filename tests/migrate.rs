//! `jobcell migrate`: V1's database and dumps of it into a data folder, as an
//! admin and a client of the API see it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use jobcell_store::{RedbStore, StoreOptions};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::harness::{Server, jobcell, run, text};

pub(crate) const SQL_JOB: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const SHELL_JOB: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3302";
const BROKEN_JOB: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3303";
const KEEPABLE_JOB: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3304";
/// Stands wherever V1 kept a password.
pub(crate) const SECRET: &str = "s3cret-never-shown";

const TABLES: &str = "
    CREATE TABLE Job_Configurations (
        JOB_ID TEXT PRIMARY KEY, name TEXT, job_type TEXT, configuration TEXT, enabled INTEGER,
        created_date TEXT, modified_date TEXT, created_by TEXT, schedule_enabled INTEGER,
        schedule_type TEXT, schedule_expression TEXT, timezone TEXT);
    CREATE TABLE JOB_EXECUTION_HISTORY (
        execution_id INTEGER PRIMARY KEY, job_id TEXT, job_name TEXT, status TEXT,
        start_time TEXT, end_time TEXT, duration_seconds REAL, output TEXT,
        error_message TEXT, return_code INTEGER, retry_count INTEGER, max_retries INTEGER);
    CREATE TABLE user_connections (
        connection_id TEXT, name TEXT, server_name TEXT, port INTEGER, database_name TEXT,
        trusted_connection INTEGER, username TEXT, password TEXT, is_active INTEGER);";

/// A V1 database: two whole jobs, one that is broken, one that can be kept, runs
/// of three jobs of which one is gone, and a connection.
pub(crate) fn v1(folder: &Path) -> PathBuf {
    let file = folder.join("v1.db");
    let database = Connection::open(&file).unwrap();
    database.execute_batch(TABLES).unwrap();
    let sql = json!({ "type": "sql", "sql_query": "SELECT 42 AS answer", "timeout": 60 });
    let shell = json!({ "type": "powershell", "script_content": "Write-Output 'hi'" });
    let lost = json!({ "type": "sql", "connection_string": SECRET, "password": SECRET });
    let cron = Some("0 0 9 * * 1-5");
    let hostile = "<b>Lost</b>\u{1b}[31m";
    let jobs = [
        (SQL_JOB, "Answer", "sql", sql.to_string(), None),
        (SHELL_JOB, "Greeting", "PowerShell", shell.to_string(), cron),
        (BROKEN_JOB, hostile, "sql", lost.to_string(), None),
        (KEEPABLE_JOB, "No zone", "sql", sql.to_string(), cron),
    ];
    for (id, name, kind, configuration, cron) in jobs {
        let zone = match id {
            KEEPABLE_JOB => "Mars/Olympus",
            _ => "Europe/London",
        };
        let insert = "INSERT INTO Job_Configurations VALUES (?1, ?2, ?3, ?4, 1,
            '2025-08-01 10:00:00', '2025-08-02 11:00:00', 'ada', ?5, 'cron', ?6, ?7)";
        let row = params![id, name, kind, configuration, cron.is_some(), cron, zone];
        database.execute(insert, row).unwrap();
    }
    history(&database);
    let insert =
        "INSERT INTO user_connections VALUES ('erp', 'ERP', 'db1', 1433, 'erp', 0, 'sa', ?1, 1)";
    database.execute(insert, params![SECRET]).unwrap();
    file
}

fn history(database: &Connection) {
    for (number, job, status, end) in [
        (1, SQL_JOB, "success", "2025-08-03 09:00:02"),
        (2, SQL_JOB, "FAILED", "2025-08-04 09:00:04"),
        (3, SHELL_JOB, "SUCCESS", "2025-08-03 09:00:02"),
        (4, "gone", "success", "2025-08-03 09:00:02"),
        (5, SHELL_JOB, "on fire", "2025-08-03 09:00:02"),
        (6, BROKEN_JOB, "success", "2025-08-03 09:00:02"),
    ] {
        let start = format!("{} 09:00:00", &end[..10]);
        let insert = "INSERT INTO JOB_EXECUTION_HISTORY VALUES
            (?1, ?2, 'n', ?3, ?4, ?5, NULL, 'wrote this', NULL, 0, 0, 3)";
        let row = params![number, job, status, start, end];
        database.execute(insert, row).unwrap();
    }
}

/// The same, and a job has 59,903 runs.
pub(crate) fn many_runs(folder: &Path) {
    let many = "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        INSERT INTO JOB_EXECUTION_HISTORY SELECT i, ?1, 'n', 'success',
        datetime('2025-08-05', '+' || i || ' seconds'), NULL, 1.0, 'o', NULL, 0, 0, 3 FROM n";
    let database = Connection::open(v1(folder)).unwrap();
    database.execute(many, params![SQL_JOB]).unwrap();
}

pub(crate) fn migrate(folder: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["migrate", "--data", "data"];
    arguments.extend(more);
    run(&arguments, folder)
}

pub(crate) fn report(folder: &Path, more: &[&str]) -> Value {
    let output = migrate(folder, &[more, &["--format", "json"]].concat());
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}{complained}"))
}

/// What there is of a job, without what a later migration may date anew.
fn facts(server: &Server, job: &Value) -> Value {
    let mut facts = json!({});
    for key in [
        "name",
        "enabled",
        "created_date",
        "modified_date",
        "created_by",
        "total_executions",
        "successful_executions",
        "failed_executions",
        "average_duration_seconds",
        "last_execution_id",
        "last_execution_status",
        "last_execution_time",
    ] {
        assert!(job.get(key).is_some(), "{key} is missing in {job}");
        facts[key] = job[key].clone();
    }
    let id = job["job_id"].as_str().unwrap();
    let latest = server.get(&format!("/api/v2/jobs/{id}/history?limit=200"));
    let latest = latest.json()["execution_history"].clone();
    let runs = latest.as_array().unwrap().iter();
    facts["runs"] = runs.map(|run| run["execution_id"].clone()).collect();
    facts
}

/// All jobs with their latest runs, by their ids, from a store that proves
/// sound.
pub(crate) fn state(data: &Path) -> BTreeMap<String, Value> {
    let server = Server::start(data);
    let jobs = server.get("/api/v2/jobs?limit=200").json();
    let jobs = jobs["jobs"].as_array().unwrap().iter();
    let id = |job: &Value| job["job_id"].as_str().unwrap().to_owned();
    let state = jobs.map(|job| (id(job), facts(&server, job))).collect();
    server.terminate();
    assert_eq!(faults(data), Vec::<String>::new());
    state
}

fn faults(data: &Path) -> Vec<String> {
    let store = RedbStore::open(&data.join("jobcell.redb"), StoreOptions::default()).unwrap();
    store.verify().unwrap()
}

#[test]
fn a_migration_tells_what_became_of_every_row() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    let report = report(folder.path(), &["--from", "sqlite:v1.db"]);
    let counts = &report["counts"];
    for (key, count) in [
        ("rows", 4),
        ("added", 2),
        ("present", 0),
        ("broken", 2),
        ("weekdays_differ", 1),
    ] {
        assert_eq!(counts[key], count, "{key}");
    }
    let runs = &report["runs"];
    for (key, count) in [
        ("rows", 6),
        ("added", 3),
        ("present", 0),
        ("without_job", 1),
        ("of_broken_jobs", 1),
        ("unreadable", 1),
    ] {
        assert_eq!(runs[key], count, "{key}");
    }
    assert_eq!(runs["unreadable_rows"][0]["execution_id"], "5");
    let jobs = report["jobs"].as_array().unwrap();
    let greeting = jobs.iter().find(|job| job["name"] == "Greeting").unwrap();
    let weekdays = &greeting["weekdays"];
    assert_eq!(weekdays["sunday"]["next"].as_array().unwrap().len(), 5);
    assert_eq!(weekdays["monday"]["expression"], "0 0 9 * * TUE-SAT");
    assert_eq!(report["connections"][0]["server"], "db1");
    assert_eq!(faults(&folder.path().join("data")), Vec::<String>::new());
}

#[test]
fn no_password_and_no_markup_of_v1_gets_into_a_report() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    let arguments = ["--from", "sqlite:v1.db", "--report", "report.html"];
    let said = migrate(folder.path(), &arguments);
    assert_eq!(said.status.code(), Some(6), "{}", text(&said.stderr));
    let printed = text(&said.stdout);
    let json = report(folder.path(), &["--from", "sqlite:v1.db"]).to_string();
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    for shown in [&printed, &json, &page] {
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(
            shown.contains("ERP") && shown.contains("no query"),
            "{shown}"
        );
    }
    assert!(!printed.contains('\u{1b}'), "{printed}");
    assert!(page.contains("&lt;b&gt;Lost&lt;/b&gt;"), "{page}");
    assert!(!page.contains("<b>") && !page.contains("<script"), "{page}");
    assert!(page.contains("(hidden)"), "{page}");
}

#[test]
fn migrated_jobs_are_listed_with_their_history_and_run() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    let zone = ["--assume-timezone", "Europe/Berlin"];
    let arguments = [&["--from", "sqlite:v1.db"], &zone[..]].concat();
    let output = migrate(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    let server = Server::start(&folder.path().join("data"));
    let job = server.get(&format!("/api/v2/jobs/{SQL_JOB}")).json()["job"].clone();
    assert_eq!(
        (&job["name"], &job["created_by"]),
        (&json!("Answer"), &json!("ada"))
    );
    assert_eq!(job["enabled"], true);
    let created = job["created_date"].as_str().unwrap();
    assert!(created.starts_with("2025-08-01T08:00:00"), "{created}");
    assert_eq!(
        (&job["successful_executions"], &job["failed_executions"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(job["average_duration_seconds"], 3.0);
    let runs = server.history(SQL_JOB);
    assert_eq!((&job["total_executions"], runs.len()), (&json!(2), 2));
    assert_eq!(job["last_execution_id"], runs[0]["execution_id"]);
    let first = runs[1]["execution_id"].as_str().unwrap();
    let first = server.get(&format!("/api/v2/executions/{first}"));
    let marks = first.json().to_string();
    assert!(marks.contains("\"migratedFrom\":\"v1\""), "{marks}");
    assert!(marks.contains("wrote this"), "{marks}");
    let greeting = server.get("/api/v2/jobs/GREETING").json()["job"].clone();
    assert!(greeting["next_scheduled_time"].is_string(), "{greeting}");
    let ran = server.post("/api/v2/jobs/ANSWER/run").json();
    assert_eq!(ran["success"], true, "{ran}");
    assert!(ran["output"].as_str().unwrap().contains("42"), "{ran}");
    let after = server.get("/api/v2/jobs/ANSWER").json()["job"].clone();
    assert_eq!(after["total_executions"], 3);
    // What V1 missed is nothing that V2 missed.
    assert_eq!(server.history(SHELL_JOB).len(), 1);
}

#[test]
fn a_dry_run_reports_the_same_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    let dry = report(folder.path(), &["--from", "sqlite:v1.db", "--dry-run"]);
    assert_eq!(dry["dry_run"], true);
    assert!(!folder.path().join("data").exists());
    let wet = report(folder.path(), &["--from", "sqlite:v1.db"]);
    for key in ["counts", "runs", "broken", "connections"] {
        assert_eq!(dry[key], wet[key], "{key}");
    }
    let before = state(&folder.path().join("data"));
    let arguments = ["--from", "sqlite:v1.db", "--dry-run", "--keep-broken"];
    let again = report(folder.path(), &arguments);
    let counts = &again["counts"];
    assert_eq!(
        (&counts["added"], &counts["present"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        (&again["runs"]["added"], &again["runs"]["present"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(state(&folder.path().join("data")), before);
}

#[test]
fn a_second_migration_changes_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    migrate(folder.path(), &["--from", "sqlite:v1.db"]);
    let before = state(&folder.path().join("data"));
    assert_eq!(before.len(), 2);
    let said = text(&migrate(folder.path(), &["--from", "sqlite:v1.db"]).stdout);
    assert!(said.contains("Nothing changes"), "{said}");
    assert!(
        said.contains("0 migrated, 2 there already, 2 broken"),
        "{said}"
    );
    assert_eq!(state(&folder.path().join("data")), before);
}

#[test]
fn what_was_changed_in_v2_stays_changed() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    migrate(folder.path(), &["--from", "sqlite:v1.db"]);
    let server = Server::start(&folder.path().join("data"));
    let body = json!({ "name": "My answer", "enabled": false });
    assert_eq!(server.put_json("/api/v2/jobs/ANSWER", &body).status, 200);
    server.terminate();
    migrate(folder.path(), &["--from", "sqlite:v1.db"]);
    let after = state(&folder.path().join("data"));
    assert_eq!(after[SQL_JOB]["name"], "My answer");
    assert_eq!(after[SQL_JOB]["enabled"], false);
    assert_eq!(after.len(), 2);
}

#[test]
fn runs_that_v1_added_since_are_added_to_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let file = v1(folder.path());
    migrate(folder.path(), &["--from", "sqlite:v1.db"]);
    let insert = "INSERT INTO JOB_EXECUTION_HISTORY VALUES (90, ?1, 'n', 'success',
                  '2025-09-01 00:00:00', '2025-09-01 00:00:06', 6, 'new', NULL, 0, 0, 3)";
    let database = Connection::open(file).unwrap();
    database.execute(insert, params![SQL_JOB]).unwrap();
    drop(database);
    let report = report(folder.path(), &["--from", "sqlite:v1.db"]);
    assert_eq!(
        (&report["runs"]["added"], &report["runs"]["present"]),
        (&json!(1), &json!(3))
    );
    let job = state(&folder.path().join("data"))[SQL_JOB].clone();
    assert_eq!(job["total_executions"], 3);
    assert_eq!(job["average_duration_seconds"], 4.0);
    assert_eq!(job["last_execution_id"], job["runs"][0]);
    assert_eq!(
        job["last_execution_time"].as_str().unwrap()[..10],
        *"2025-09-01"
    );
}

#[test]
fn a_deleted_job_that_is_migrated_again_has_its_runs_once() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    migrate(folder.path(), &["--from", "sqlite:v1.db"]);
    let before = state(&folder.path().join("data"));
    let server = Server::start(&folder.path().join("data"));
    assert_eq!(server.delete("/api/v2/jobs/ANSWER").status, 200);
    server.terminate();
    migrate(folder.path(), &["--from", "sqlite:v1.db"]);
    assert_eq!(state(&folder.path().join("data")), before);
}

#[test]
fn v1_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let file = v1(&kept);
    let before = fs::read(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o555)).unwrap();
    let report = report(folder.path(), &["--from", "sqlite:kept/v1.db"]);
    assert_eq!(report["counts"]["added"], 2);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 1);
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_migration_that_was_killed_half_way_leaves_nothing_and_can_be_done_again() {
    let folder = tempfile::tempdir().unwrap();
    many_runs(folder.path());
    let mut child = jobcell()
        .args(["migrate", "--data", "data", "--from", "sqlite:v1.db"])
        .args(["--log", "info"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let half_way = log.any(|line| line.unwrap().contains("20000"));
    assert!(half_way, "it never got half way");
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(state(&folder.path().join("data")), BTreeMap::new());
    migrate(folder.path(), &["--from", "sqlite:v1.db"]);
    let at_once = ["migrate", "--data", "other", "--from", "sqlite:v1.db"];
    assert_eq!(run(&at_once, folder.path()).status.code(), Some(6));
    let migrated = state(&folder.path().join("data"));
    assert_eq!(migrated, state(&folder.path().join("other")));
    assert_eq!(migrated[SQL_JOB]["total_executions"], 59_903);
}

#[test]
fn a_server_that_uses_the_data_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    let _server = Server::start(&folder.path().join("data"));
    for more in [&[][..], &["--dry-run"]] {
        let arguments = [&["--from", "sqlite:v1.db"], more].concat();
        let output = migrate(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(4));
        let complained = text(&output.stderr);
        assert!(complained.contains("`--server URL`"), "{complained}");
    }
}

#[test]
fn json_and_yaml_are_read_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let job = json!({ "job_id": SQL_JOB, "name": "Answer", "type": "sql", "query": "SELECT 1" });
    let execution = json!({ "execution_id": 7, "job_id": SQL_JOB, "status": "success",
        "start_time": "2025-08-03T09:00:00", "duration_seconds": 2 });
    let both = json!({ "success": true, "jobs": [job], "executions": [execution] });
    fs::write(folder.path().join("v1.json"), both.to_string()).unwrap();
    let output = migrate(folder.path(), &["--from", "json:v1.json"]);
    let said = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{said}{}",
        text(&output.stderr)
    );
    assert!(said.contains("no `user_connections`"), "{said}");
    let migrated = state(&folder.path().join("data"));
    assert_eq!(migrated[SQL_JOB]["total_executions"], 1);
    let yaml = format!(
        "jobs:\n  {SHELL_JOB}:\n    name: Greeting\n    job_type: powershell\n    \
         script_content: |\n      Write-Output 'hi'\n"
    );
    fs::write(folder.path().join("jobs.yaml"), yaml).unwrap();
    let report = report(folder.path(), &["--from", "yaml:jobs.yaml"]);
    assert_eq!(report["jobs"][0]["job_id"], SHELL_JOB, "{report}");
    assert_eq!(state(&folder.path().join("data")).len(), 2);
}

#[test]
fn broken_jobs_are_kept_disabled_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    let arguments = ["--from", "sqlite:v1.db", "--keep-broken"];
    let report = report(folder.path(), &arguments);
    assert_eq!(report["counts"]["kept_disabled"], 1);
    assert_eq!(report["broken"].as_array().unwrap().len(), 1);
    let state = state(&folder.path().join("data"));
    assert_eq!(state[KEEPABLE_JOB]["enabled"], false);
}

#[test]
fn only_what_was_asked_for_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    let from = ["--from", "sqlite:v1.db", "--only"];
    let output = migrate(
        folder.path(),
        &[&from[..], &["Answer", "--only", "jobs"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let state = state(&folder.path().join("data"));
    assert_eq!(state.keys().collect::<Vec<_>>(), [SQL_JOB]);
    assert_eq!(state[SQL_JOB]["total_executions"], 0);
    let misspelt = migrate(folder.path(), &[&from[..], &["Answr"]].concat());
    assert_eq!(misspelt.status.code(), Some(2));
}

#[test]
fn samples_come_beside_v1s_jobs_or_alone() {
    let folder = tempfile::tempdir().unwrap();
    let alone = report(folder.path(), &["--samples", "only"]);
    let count = alone["samples"].as_array().unwrap().len();
    assert!(
        count > 2 && alone["samples"][0]["state"] == "added",
        "{alone}"
    );
    v1(folder.path());
    let arguments = ["--from", "sqlite:v1.db", "--samples", "also"];
    let also = report(folder.path(), &arguments);
    assert_eq!(also["samples"][0]["state"], "present");
    assert_eq!(also["counts"]["added"], 2);
    assert_eq!(state(&folder.path().join("data")).len(), count + 2);
}

#[test]
fn wrong_arguments_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    fs::write(folder.path().join("none.json"), "{\"a\": 1}").unwrap();
    let ask = ["--from", "sqlite:v1.db", "--weekdays", "ask"];
    let mars = ["--from", "sqlite:v1.db", "--assume-timezone", "Mars"];
    for (arguments, code, part) in [
        (&[][..], 2, "`--from` is missing"),
        (&["--from", "sqlite:nowhere.db"], 2, "can't be read"),
        (&["--from", "json:v1.db"], 4, "can't be read"),
        (&["--from", "json:none.json"], 4, "no jobs in it"),
        (&["--from", "sqlite:none.json"], 4, "not a SQLite database"),
        (&ask, 2, "no terminal to ask"),
        (&mars, 2, "Mars"),
    ] {
        let output = migrate(folder.path(), arguments);
        let complained = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {complained}"
        );
        assert!(complained.contains(part), "{arguments:?}: {complained}");
    }
}
