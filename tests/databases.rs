//! SQL jobs on a real PostgreSQL server, through the real binary.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions, eventually};

// How servers are started for tests is known in one place.
#[path = "../crates/host-sql/tests/engines/server.rs"]
mod server;

const PASSWORD: &str = "pa55-never-shown";

/// A PostgreSQL server and a Jobcell that knows it as `warehouse`.
struct Scene {
    jobcell: Server,
    log: PathBuf,
    postgres: server::Server,
}

fn scene(folder: &Path) -> Option<Scene> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let besides: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    let initdb = server::find("initdb", &besides)?;
    let program = server::find("postgres", &besides)?;
    let home = server::folder();
    let (data, password) = (home.path().join("data"), home.path().join("password"));
    fs::write(&password, PASSWORD).unwrap();
    server::run(
        server::command(&initdb)
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"])
            .args(["--username=admin", "--pgdata"])
            .arg(&data)
            .arg(format!("--pwfile={}", password.display())),
    );
    let port = server::free_port();
    let postgres = server::Server::start(
        home,
        port,
        server::command(&program)
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args([
                "-c",
                &format!("port={port}"),
                "-c",
                "unix_socket_directories=",
            ]),
    );
    let port = postgres.port;
    let configuration = format!(
        "connections:\n  warehouse: {{type: postgresql, host: 127.0.0.1, port: {port}, \
         database: postgres, username: admin, passwordFile: '{}'}}\n  \
         wrong: {{type: postgresql, host: 127.0.0.1, port: {port}, database: postgres, \
         username: admin, password: another-secret}}\n",
        password.display()
    );
    let log = folder.join("log");
    let options = ServerOptions {
        configuration: Some(configuration),
        log: Some(fs::File::create(&log).unwrap()),
        ..ServerOptions::default()
    };
    let jobcell = Server::start_with(&folder.join("data"), options);
    let scene = Scene {
        jobcell,
        log,
        postgres,
    };
    // Its port is open before it is ready.
    eventually("the server is ready", || {
        (scene.ran("warehouse", "query: SELECT 1")["success"] == true).then_some(())
    });
    Some(scene)
}

/// Without the server, which is told by name, there is nothing to show.
fn with_postgresql(facts: impl FnOnce(&Scene)) {
    let folder = tempfile::tempdir().unwrap();
    match scene(folder.path()) {
        Some(scene) => facts(&scene),
        None => {
            assert!(
                std::env::var_os("CI").is_none(),
                "PostgreSQL is not installed"
            );
            println!("left out: PostgreSQL is not installed");
        }
    }
}

impl Scene {
    fn create(&self, id: &str, connection: &str, keys: &str) {
        self.jobcell.create(&format!(
            "id: {id}\nname: J\ntype: SQL\nconnection: {connection}\n{keys}\n"
        ));
    }

    fn ran(&self, connection: &str, keys: &str) -> Value {
        self.create("once", connection, keys);
        let ran = self.jobcell.post("/api/v2/jobs/once/run").json();
        self.jobcell.delete("/api/v2/jobs/once");
        ran
    }
}

#[test]
fn a_job_on_postgresql_tells_rows_counts_and_notices() {
    with_postgresql(|scene| {
        let ran = scene.ran(
            "warehouse",
            "transaction: single\nisolationLevel: serializable\nparameters: {name: \"o'neil; --\"}\nquery: |\n  \
             CREATE TABLE people (id int PRIMARY KEY, name text);\n  \
             INSERT INTO people VALUES (1, :name), (2, NULL);\n  \
             DO $$ BEGIN RAISE NOTICE 'two; so far'; END $$;\n  \
             SELECT id, name, 12345678901234567890.10 AS sum FROM people;",
        );
        assert_eq!(ran["success"], true, "{ran}");
        let steps = ran["step_results"].as_array().unwrap();
        assert_eq!(steps[1]["details"]["affectedRows"], 2, "{ran}");
        let notice = json!([{"severity": "notice", "text": "two; so far"}]);
        assert_eq!(steps[2]["details"]["messages"], notice, "{ran}");
        let rows = json!([
            [1, "o'neil; --", "12345678901234567890.10"],
            [2, null, "12345678901234567890.10"]
        ]);
        assert_eq!(steps[3]["details"]["rows"], rows, "{ran}");
    });
}

#[test]
fn what_fails_undoes_its_transaction_and_names_its_place() {
    with_postgresql(|scene| {
        scene.ran("warehouse", "query: CREATE TABLE kept (id int PRIMARY KEY)");
        let failing = "query: |\n  INSERT INTO kept VALUES (1);\n  INSERT INTO kept VALUES (1);\n  INSERT INTO kept VALUES (2);";
        let count = |expected: i64| {
            let ran = scene.ran("warehouse", "query: SELECT count(*) FROM kept");
            assert_eq!(
                ran["step_results"][0]["details"]["rows"],
                json!([[expected]])
            );
            scene.ran("warehouse", "query: DELETE FROM kept");
        };
        for (keys, kept) in [
            ("transaction: single", 0),
            ("transaction: single\nonError: continue", 2),
            ("transaction: perStatement", 1),
            ("transaction: perStatement\nonError: continue", 2),
            ("transaction: none", 1),
        ] {
            let ran = scene.ran("warehouse", &format!("{keys}\n{failing}"));
            assert_eq!(ran["error_code"], "constraint_violation", "{keys}: {ran}");
            let error = ran["error"].as_str().unwrap();
            assert!(error.contains("statement 2 (line 2)"), "{keys}: {error}");
            count(kept);
        }
        let own = scene.ran("warehouse", "transaction: single\nquery: SELECT 1; COMMIT");
        assert!(
            own["error"].as_str().unwrap().contains("is `COMMIT`"),
            "{own}"
        );
    });
}

#[test]
fn the_guide_s_sample_names_the_statement_that_postgresql_lacks() {
    with_postgresql(|scene| {
        let ran = scene.ran(
            "warehouse",
            "query: |\n  -- Database maintenance query\n  SELECT 1;\n  DBCC CHECKDB('sreutil') WITH NO_INFOMSGS;\n  SELECT 2;",
        );
        assert_eq!(ran["error_code"], "syntax_error", "{ran}");
        let error = ran["error"].as_str().unwrap();
        assert!(
            error.contains("statement 2 (line 3)") && error.contains("DBCC"),
            "{error}"
        );
        assert_eq!(
            ran["step_results"][1]["details"]["error"]["sqlstate"],
            "42601"
        );
        assert_eq!(ran["step_results"][2]["status"], "skipped");
    });
}

#[test]
fn a_cancel_by_the_api_reaches_postgresql() {
    with_postgresql(|scene| {
        scene.create("slow", "warehouse", "query: SELECT pg_sleep(600)");
        let started = scene
            .jobcell
            .post("/api/v2/jobs/slow/run?wait=false")
            .json();
        let id = started["execution_id"].as_str().unwrap().to_owned();
        let going = || {
            let ran = scene.ran(
                "warehouse",
                "query: SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'",
            );
            ran["step_results"][0]["details"]["rows"][0][0]
                .as_i64()
                .unwrap()
        };
        eventually("it runs", || (going() == 1).then_some(()));
        scene
            .jobcell
            .post(&format!("/api/v2/executions/{id}/cancel"));
        let at = format!("/api/v2/executions/{id}");
        eventually("it is cancelled", || {
            let run = scene.jobcell.get(&at).json();
            (run["execution"]["status"] == "cancelled").then_some(())
        });
        assert_eq!(going(), 0);
    });
}

#[test]
fn a_password_is_nowhere_to_be_seen() {
    with_postgresql(|scene| {
        let wrong = scene.ran("wrong", "query: SELECT 1");
        assert_eq!(wrong["error_code"], "authentication_failed", "{wrong}");
        let right = scene.ran("warehouse", "query: SELECT current_user");
        let said = format!("{wrong}{right}{}", fs::read_to_string(&scene.log).unwrap());
        for secret in [PASSWORD, "another-secret"] {
            assert!(!said.contains(secret), "{said}");
        }
    });
}

/// V1's tables as its users had them on PostgreSQL, with one job and 300 runs.
const V1: &str = r#"query: |
  CREATE TABLE job_configurations (job_id uuid, name varchar(255), job_type varchar(50),
    configuration text, enabled boolean, created_date timestamp, created_by varchar(100),
    schedule_enabled boolean, schedule_type varchar(50), schedule_expression varchar(255),
    timezone varchar(50));
  INSERT INTO job_configurations VALUES ('3f2504e0-4f89-41d3-9a0c-0305e82c3301', 'Nächtlich',
    'sql', '{"type": "sql", "sql_query": "SELECT 42"}', true, '2025-08-20 10:15:00.25', 'ada',
    true, 'cron', '0 0 9 * * 1-5', 'Europe/London');
  CREATE TABLE "Job_Execution_History" (execution_id bigint, job_id uuid, status text,
    start_time timestamp, end_time timestamp, output text, return_code smallint);
  INSERT INTO "Job_Execution_History"
    SELECT i, '3f2504e0-4f89-41d3-9a0c-0305e82c3301', 'success',
      timestamp '2025-08-21 09:00' + i * interval '1 h',
      timestamp '2025-08-21 09:01' + i * interval '1 h', 'wrote this', 0
    FROM generate_series(1, 300) i;
"#;

#[test]
fn v1_is_migrated_from_postgresql() {
    with_postgresql(|scene| {
        let ran = scene.ran("warehouse", V1);
        assert_eq!(ran["success"], true, "{ran}");
        let folder = tempfile::tempdir().unwrap();
        let port = scene.postgres.port;
        let from = format!("postgres://admin:{PASSWORD}@127.0.0.1:{port}/postgres?tls=disable");
        let arguments = [
            "migrate", "--data", "data", "--format", "json", "--from", &from,
        ];
        let said = crate::harness::run(&arguments, folder.path());
        let told = crate::harness::text(&said.stdout);
        assert!(said.status.success(), "{told} {said:?}");
        assert!(!told.contains(PASSWORD), "{told}");
        let report: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(report["runs"]["added"], 300, "{report}");
        let jobcell = Server::start(&folder.path().join("data"));
        let job = &jobcell.get("/api/v2/jobs").json()["jobs"][0];
        assert_eq!(job["name"], "Nächtlich", "{job}");
        assert_eq!(
            job["created_date"], "2025-08-20T10:15:00.250000+00:00",
            "{job}"
        );
        let yaml = job["yaml_configuration"].as_str().unwrap();
        assert!(yaml.contains("Europe/London"), "{yaml}");
        assert!(job["next_scheduled_time"].is_string(), "{job}");
    });
}
