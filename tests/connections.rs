//! Connections to databases that are kept by the server: made, changed, tried
//! out and removed by API and command line, their passwords sealed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions, jobcell, text};
use crate::sqlserver::server::{self, Asked, Script};
use crate::sqlserver::tokens::numbers;

const PASSWORD: &str = "pa55-never-shown €";

/// A SQL Server that keeps who logs in.
struct Database {
    runtime: tokio::runtime::Runtime,
    server: server::Server,
}

impl Database {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let script = Script::tokens(numbers("n", &[1], 0));
        let server = runtime.block_on(server::Server::start(script));
        Self { runtime, server }
    }

    fn settings(&self, name: &str) -> Value {
        let port = self.server.address.port();
        json!({
            "name": name, "type": "mssql", "host": "127.0.0.1", "port": port,
            "username": "sa", "database": "erp", "password": PASSWORD, "tls": "prefer",
        })
    }

    /// The passwords that were sent to it.
    fn passwords(&self) -> Vec<String> {
        let logins = self.server.asked().into_iter();
        let passwords = logins.filter_map(|asked| match asked {
            Asked::Login(_, password, _) => Some(password),
            _ => None,
        });
        passwords.collect()
    }
}

fn run_job(jobcell: &Server, connection: &str) -> Value {
    jobcell.create(&format!(
        "id: j\nname: J\ntype: SQL\nconnection: {connection}\nquery: SELECT 1\n"
    ));
    let ran = jobcell.post("/api/v2/jobs/j/run").json();
    jobcell.delete("/api/v2/jobs/j");
    ran
}

#[test]
fn a_stored_connection_is_used_after_a_restart_and_its_password_is_nowhere() {
    let database = Database::start();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let log = folder.path().join("log");
    let options = || ServerOptions {
        log: Some(
            fs::File::options()
                .create(true)
                .append(true)
                .open(&log)
                .unwrap(),
        ),
        ..ServerOptions::default()
    };
    let jobcell = Server::start_with(&data, options());
    let made = jobcell.post_json("/api/v2/connections", &database.settings("erp"));
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.headers["location"], "/api/v2/connections/erp");
    assert_eq!(run_job(&jobcell, "erp")["success"], true);
    let listed = jobcell.get("/api/v2/connections");
    let one = jobcell.get("/api/v2/connections/erp");
    assert!(jobcell.terminate().success());
    let jobcell = Server::start_with(&data, options());
    assert_eq!(run_job(&jobcell, "erp")["success"], true);
    let shown = jobcell.get("/api/v2/connections/erp");
    assert_eq!(shown.json()["connection"]["has_password"], true);
    assert_eq!(shown.json()["connection"]["revision"], 1);
    jobcell.kill();
    assert_eq!(database.passwords(), [PASSWORD, PASSWORD]);
    for reply in [&made, &listed, &one, &shown] {
        assert!(!reply.text.contains("pa55"), "{}", reply.text);
    }
    for file in ["jobcell.redb", "secrets.key"] {
        let bytes = fs::read(data.join(file)).unwrap();
        let found = bytes.windows(4).any(|window| window == b"pa55");
        assert!(!found, "the password is in {file}");
    }
    let log = fs::read_to_string(&log).unwrap();
    assert!(!log.is_empty() && !log.contains("pa55"), "{log}");
    let key = fs::metadata(data.join("secrets.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[test]
fn without_its_key_a_password_is_lost_and_nothing_else() {
    let database = Database::start();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let jobcell = Server::start(&data);
    jobcell.post_json("/api/v2/connections", &database.settings("erp"));
    assert!(jobcell.terminate().success());
    fs::remove_file(data.join("secrets.key")).unwrap();
    let jobcell = Server::start(&data);
    let ran = run_job(&jobcell, "erp");
    let error = ran["error"].as_str().unwrap();
    assert!(error.contains("sealed with another key"), "{error}");
    let shown = jobcell.get("/api/v2/connections/erp").json();
    let problem = shown["connection"]["problem"].as_str().unwrap();
    assert!(problem.contains("another key"), "{problem}");
    assert_eq!(run_job(&jobcell, "default")["success"], true);
    // It is enough to give it again.
    let set = jobcell.put_json("/api/v2/connections/erp", &json!({"password": PASSWORD}));
    assert_eq!(set.status, 200, "{}", set.text);
    assert_eq!(run_job(&jobcell, "erp")["success"], true);
}

#[test]
fn an_admin_may_give_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "ab".repeat(32)).unwrap();
    let configuration = format!("keyFile: {}\n", key.display());
    let start = |mode: u32| {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let file = folder.path().join("config.yaml");
        fs::write(&file, &configuration).unwrap();
        jobcell()
            .args(["doctor", "--config"])
            .arg(&file)
            .arg("--data")
            .arg(folder.path().join("data"))
            .output()
            .unwrap()
    };
    let options = ServerOptions {
        configuration: Some(configuration.clone()),
        ..ServerOptions::default()
    };
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let server = Server::start_with(&folder.path().join("data"), options);
    assert!(!folder.path().join("data/secrets.key").exists());
    assert!(server.terminate().success());
    assert!(start(0o600).status.success());
    let told = text(&start(0o644).stderr);
    assert!(told.contains("stored connections are not known"), "{told}");
}

#[test]
fn a_password_never_follows_where_it_was_not_meant_to_go() {
    let (meant, other) = (Database::start(), Database::start());
    let folder = tempfile::tempdir().unwrap();
    let jobcell = Server::start(&folder.path().join("data"));
    jobcell.post_json("/api/v2/connections", &meant.settings("erp"));
    let port = other.server.address.port();
    let moved = jobcell.put_json("/api/v2/connections/erp", &json!({ "port": port }));
    assert_eq!(moved.status, 422, "{}", moved.text);
    assert_eq!(moved.json()["code"], "password_needed");
    let tried = jobcell.post("/api/v2/connections/erp/test").json();
    assert_eq!(tried["success"], true, "{tried}");
    assert!(other.passwords().is_empty());
    let moved = jobcell.put_json(
        "/api/v2/connections/erp",
        &json!({ "port": port, "password": "new" }),
    );
    assert_eq!(moved.status, 200, "{}", moved.text);
    assert_eq!(run_job(&jobcell, "erp")["success"], true);
    assert_eq!(other.passwords(), ["new"]);
    drop(meant.runtime);
}

#[test]
fn what_is_wrong_with_a_connection_is_said_and_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = "connections:\n  fixed: {sqlite: /tmp/never.sqlite}\n";
    let options = ServerOptions {
        configuration: Some(configuration.to_owned()),
        ..ServerOptions::default()
    };
    let jobcell = Server::start_with(&folder.path().join("data"), options);
    let all = "/api/v2/connections";
    for (body, status, code) in [
        (json!({"type": "mysql"}), 400, "bad_member"),
        (json!({"name": 7, "type": "mysql"}), 400, "bad_member"),
        (json!({"name": "a"}), 400, "bad_member"),
        (json!({"name": "a", "type": "oracle"}), 400, "bad_member"),
        (
            json!({"name": "a", "type": "mysql", "host": "h", "username": "u", "password": ["pa55"]}),
            400,
            "bad_member",
        ),
        (
            json!({"name": "a", "type": "mysql", "host": "h", "username": "u", "pasword": "pa55"}),
            400,
            "bad_member",
        ),
        (
            json!({"name": "a", "type": "mysql"}),
            422,
            "invalid_connection",
        ),
        (
            json!({"name": "a/b", "type": "sqlite", "file": "/f"}),
            422,
            "invalid_connection",
        ),
        (
            json!({"name": "a", "type": "sqlite", "file": "/f", "password": "x"}),
            422,
            "invalid_connection",
        ),
        (
            json!({"name": "default", "type": "sqlite", "file": "/f"}),
            409,
            "connection_exists",
        ),
        (
            json!({"name": "fixed", "type": "sqlite", "file": "/f"}),
            409,
            "connection_exists",
        ),
        (json!([1]), 400, "not_an_object"),
    ] {
        let refused = jobcell.post_json(all, &body);
        assert_eq!(refused.status, status, "{body}: {}", refused.text);
        if code != "not_an_object" {
            assert_eq!(refused.json()["code"], code, "{body}: {}", refused.text);
        }
        assert!(!refused.text.contains("pa55"), "{}", refused.text);
    }
    for name in ["default", "fixed"] {
        let path = format!("{all}/{name}");
        assert_eq!(
            jobcell.put_json(&path, &json!({"enabled": false})).status,
            409
        );
        assert_eq!(jobcell.delete(&path).status, 409);
    }
    assert_eq!(jobcell.get(&format!("{all}/nowhere")).status, 404);
    assert_eq!(jobcell.delete(&format!("{all}/nowhere")).status, 404);
    assert_eq!(jobcell.post(&format!("{all}/nowhere/test")).status, 404);
    let listed = jobcell.get(all).json();
    assert_eq!(listed["total_count"], 2, "{listed}");
    assert_eq!(listed["connections"][0]["source"], "built_in");
    assert_eq!(listed["connections"][1]["source"], "configuration");
}

#[test]
fn settings_stay_unless_they_are_given_and_null_sets_them_back() {
    let database = Database::start();
    let folder = tempfile::tempdir().unwrap();
    let jobcell = Server::start(&folder.path().join("data"));
    jobcell.post_json("/api/v2/connections", &database.settings("Über Lager"));
    let path = "/api/v2/connections/%C3%9Cber%20Lager";
    let changed = jobcell.put_json(
        path,
        &json!({"max_open": 3, "database": null, "revision": 1}),
    );
    assert_eq!(changed.status, 200, "{}", changed.text);
    let shown = &jobcell.get(path).json()["connection"];
    assert_eq!(shown["max_open"], 3);
    assert_eq!(shown["database"], Value::Null);
    assert_eq!(shown["username"], "sa");
    assert_eq!(shown["revision"], 2);
    let late = jobcell.put_json(path, &json!({"max_open": 4, "revision": 1}));
    assert_eq!(late.status, 409, "{}", late.text);
    assert_eq!(late.json()["revision"], 2);
    let renamed = jobcell.put_json(path, &json!({"name": "other"}));
    assert_eq!(renamed.status, 400, "{}", renamed.text);
    jobcell.put_json(path, &json!({"enabled": false}));
    let ran = run_job(&jobcell, "Über Lager");
    assert!(
        ran["error"].as_str().unwrap().contains("is disabled"),
        "{ran}"
    );
    jobcell.put_json(path, &json!({"enabled": true, "job_types": ["Report"]}));
    let ran = run_job(&jobcell, "Über Lager");
    let error = ran["error"].as_str().unwrap();
    assert!(
        error.contains("not granted to jobs of the type `SQL`"),
        "{ran}"
    );
    assert_eq!(jobcell.delete(path).status, 200);
    let ran = run_job(&jobcell, "Über Lager");
    assert!(
        ran["error"]
            .as_str()
            .unwrap()
            .contains("there is no connection"),
        "{ran}"
    );
}

fn command(server: &Server, arguments: &[&str], input: &str, home: &Path) -> (i32, String, String) {
    use std::io::Write;
    let mut child = jobcell()
        .arg("connection")
        .args(arguments)
        .env("JOBCELL_SERVER", &server.url)
        .env("HOME", home)
        // Nobody else is to see the password.
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_line_does_all_of_it() {
    let database = Database::start();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let jobcell = Server::start(&home.join("data"));
    let port = database.server.address.port().to_string();
    let add = [
        "add",
        "erp",
        "--type",
        "sqlserver",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--username",
        "sa",
        "--tls",
        "prefer",
        "--password-file",
        "-",
    ];
    let added = command(&jobcell, &add, "pa55\n", home);
    assert_eq!(added.0, 0, "{added:?}");
    assert!(
        added.1.starts_with("the connection `erp` was made\n"),
        "{added:?}"
    );
    assert_eq!(command(&jobcell, &["test", "erp"], "", home).0, 0);
    assert_eq!(database.passwords(), ["pa55"]);
    let set = command(&jobcell, &["set", "erp", "--max-open", "2"], "", home);
    assert_eq!(set.0, 0, "{set:?}");
    let listed = command(&jobcell, &["list"], "", home);
    let line = format!("erp  sqlserver  sa@127.0.0.1:{port}  stored\n");
    assert!(listed.1.ends_with(&line), "{listed:?}");
    let shown = command(&jobcell, &["show", "erp", "--format", "json"], "", home);
    let shown: Value = serde_json::from_str(&shown.1).unwrap();
    assert_eq!(shown["connection"]["max_open"], 2);
    let again = command(&jobcell, &add, "pa55\n", home);
    assert_eq!(again.0, 2, "{again:?}");
    assert!(again.2.contains("exists already"), "{again:?}");
    let nothing = command(&jobcell, &["set", "erp"], "", home);
    assert_eq!(nothing.0, 2, "{nothing:?}");
    assert_eq!(command(&jobcell, &["remove", "erp"], "", home).0, 0);
    assert_eq!(command(&jobcell, &["show", "erp"], "", home).0, 2);
    let mut lost = jobcell.url.clone();
    lost.replace_range(lost.len() - 1.., "x");
    let unreachable = crate::harness::run(
        &["connection", "list", "--server", "http://127.0.0.1:1"],
        home,
    );
    assert_eq!(unreachable.status.code(), Some(4));
    let told = text(&unreachable.stderr);
    assert!(told.contains("is it running?"), "{told}");
}

#[test]
fn a_job_without_a_server_knows_what_is_stored() {
    let database = Database::start();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let jobcell = Server::start(&data);
    jobcell.post_json("/api/v2/connections", &database.settings("erp"));
    assert!(jobcell.terminate().success());
    let job = folder.path().join("job.yaml");
    fs::write(
        &job,
        "id: j\nname: J\ntype: SQL\nconnection: erp\nquery: SELECT 1\n",
    )
    .unwrap();
    let (data, job) = (data.to_str().unwrap(), job.to_str().unwrap());
    let ran = crate::harness::run(&["run", job, "--data", data], folder.path());
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let doctor = crate::harness::run(&["doctor", "--data", data], folder.path());
    let told = text(&doctor.stdout);
    assert!(told.contains("erp: sqlserver, answers"), "{told}");
}

#[test]
fn connections_of_v1_are_taken_over_with_their_passwords() {
    let database = Database::start();
    let folder = tempfile::tempdir().unwrap();
    let port = database.server.address.port();
    let connection = |id: &str, columns: Value| {
        let mut row = json!({
            "connection_id": id, "name": format!("The {id}"), "server_name": "127.0.0.1",
            "port": port, "trusted_connection": 0, "username": "sa", "password": PASSWORD,
            "is_active": 1,
        });
        row.as_object_mut()
            .unwrap()
            .extend(columns.as_object().unwrap().clone());
        row
    };
    let job = |name: &str, connection: &str| {
        let configuration = json!({"sql_query": "SELECT 1", "connection_name": connection});
        json!({
            "job_id": format!("{name:0>8}-4f89-41d3-9a0c-0305e82c3301"), "name": name,
            "job_type": "sql", "configuration": configuration.to_string(), "enabled": 1,
        })
    };
    let dump = json!({
        "job_configurations": [job("1", "default"), job("2", "THE ERP"), job("3", "windows")],
        "user_connections": [
            connection("default", json!({})),
            connection("erp", json!({})),
            connection("windows", json!({"trusted_connection": 1, "username": null})),
            connection("gone", json!({"is_active": 0})),
            connection("fixed", json!({})),
            connection("e/1", json!({})),
            connection("e-1", json!({})),
        ],
    });
    let file = folder.path().join("v1.json");
    fs::write(&file, dump.to_string()).unwrap();
    let from = format!("json:{}", file.display());
    let data = folder.path().join("data");
    let migrate = |more: &[&str]| {
        let data = data.to_str().unwrap();
        let config = folder.path().join("config.yaml");
        fs::write(&config, "connections: {fixed: {sqlite: /tmp/f.sqlite}}\n").unwrap();
        let config = config.to_str().unwrap();
        let arguments = [
            "migrate", "--from", &from, "--data", data, "--config", config,
        ];
        let said = crate::harness::run(&[&arguments[..], more].concat(), folder.path());
        assert!(said.status.success(), "{}", text(&said.stderr));
        text(&said.stdout)
    };
    let dry = migrate(&["--dry-run"]);
    assert!(dry.contains("would be `v1-default`"), "{dry}");
    assert!(!data.join("secrets.key").exists());
    let said = migrate(&[]);
    for part in [
        "added as `v1-default`",
        "added as `erp`",
        "NOT ADDED: the service's Windows account",
        "NOT ADDED: V1 had deleted it",
        "NOT ADDED: the configuration file has a connection `fixed`",
        "NOT ADDED: another one of V1 is called `e-1` here",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("pa55"), "{said}");
    let again = migrate(&[]);
    assert!(again.contains("`erp`, there already"), "{again}");
    let jobcell = Server::start(&data);
    let listed = jobcell.get("/api/v2/connections").json();
    assert_eq!(listed["total_count"], 4, "{listed}");
    for id in ["1", "2"] {
        let ran = jobcell.post(&format!("/api/v2/jobs/{id}/run")).json();
        assert_eq!(ran["success"], true, "{ran}");
    }
    // V1 never looked a connection up, so both led to the same place there.
    assert_eq!(database.passwords(), [PASSWORD, PASSWORD]);
    let ran = jobcell.post("/api/v2/jobs/3/run").json();
    let error = ran["error"].as_str().unwrap();
    assert!(error.contains("there is no connection `windows`"), "{ran}");
}
