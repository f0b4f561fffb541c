//! `jobcell migrate --server`: V1's database to a running server, which ends up with
//! what a data folder would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Server, eventually, jobcell, run, text};
use crate::migrate::{SECRET, SQL_JOB, many_runs, migrate, report, state, v1};

/// The report of a migration to a server.
fn sent(folder: &Path, server: &Server, more: &[&str]) -> Value {
    let arguments = ["migrate", "--server", &server.url, "--format", "json"];
    let output = run(&[&arguments[..], more].concat(), folder);
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}{complained}"))
}

#[test]
fn a_running_server_takes_over_what_a_data_folder_would() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    let into_folder = report(folder.path(), &["--from", "sqlite:v1.db", "--keep-broken"]);
    let data = folder.path().join("other");
    let server = Server::start(&data);
    let from = ["--from", "sqlite:v1.db", "--keep-broken"];
    let dry = sent(
        folder.path(),
        &server,
        &[&from[..], &["--dry-run"]].concat(),
    );
    assert_eq!(server.get("/api/v2/jobs").json()["total_count"], 0);
    let wet = sent(folder.path(), &server, &from);
    assert_eq!(
        (&dry["dry_run"], &wet["dry_run"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (&wet["server"], &wet["data"]),
        (&json!(server.url), &Value::Null)
    );
    for key in ["counts", "runs", "jobs", "broken", "connections", "remarks"] {
        assert_eq!(dry[key], wet[key], "{key}");
        assert_eq!(into_folder[key], wet[key], "{key}");
    }
    // Runs find the connection at once: there is no such server, which they say.
    let asked = server.post("/api/v2/connections/erp/test").json();
    assert_eq!(asked["code"], "connection_failed", "{asked}");
    let ran = server.post("/api/v2/jobs/ANSWER/run").json();
    assert_eq!(ran["success"], true, "{ran}");
    server.terminate();
    assert_ne!(state(&data), state(&folder.path().join("data")), "it ran");
    let again = Server::start(&data);
    let second = sent(folder.path(), &again, &from);
    let counts = &second["counts"];
    assert_eq!(
        (&counts["added"], &counts["present"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(second["runs"]["added"], 0);
    again.terminate();
}

#[test]
fn both_ways_lead_to_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    migrate(folder.path(), &["--from", "sqlite:v1.db"]);
    let data = folder.path().join("other");
    let server = Server::start(&data);
    sent(
        folder.path(),
        &server,
        &["--from", "sqlite:v1.db", "--samples", "also"],
    );
    for sample in server.get("/api/v2/jobs").json()["jobs"]
        .as_array()
        .unwrap()
    {
        if sample["created_by"] == "system" {
            let id = sample["job_id"].as_str().unwrap();
            assert_eq!(server.delete(&format!("/api/v2/jobs/{id}")).status, 200);
        }
    }
    server.terminate();
    assert_eq!(state(&data), state(&folder.path().join("data")));
}

/// Answers three requests, one after the other, as a server would that refuses a job.
fn refusing(listener: &TcpListener) {
    let refused = json!({
        "success": false, "error": "not all of it can be", "code": "import_refused",
        "refused": [{"job_id": SQL_JOB, "error": "that one is not for me"}],
    });
    let taken = json!({
        "success": true, "connections": {"added": [], "present": [], "configured": ["erp"]},
        "jobs": {"added": [], "present": []}, "runs": {"added": 7, "present": 8},
    });
    let answers = [
        (
            200,
            json!({"success": true, "jobs": [], "next_cursor": null}),
            "",
        ),
        (422, refused, SQL_JOB),
        (200, taken, "\"runs\":1}"),
    ];
    for (status, answer, asked) in answers {
        let (mut client, _) = listener.accept().unwrap();
        let request = whole_request(&mut client);
        assert!(request.contains(asked), "{asked}: {request}");
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        );
        client.write_all((head + &answer).as_bytes()).unwrap();
    }
}

fn whole_request(client: &mut TcpStream) -> String {
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let length = client.read(&mut piece).unwrap();
        request.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let chunked = text.contains("hunked");
        if length == 0 || text.ends_with(if chunked { "\r\n0\r\n\r\n" } else { "\r\n\r\n" }) {
            return text;
        }
    }
}

#[test]
fn what_the_server_refuses_is_broken_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || refusing(&listener));
    let arguments = ["migrate", "--server", &url, "--from", "sqlite:v1.db"];
    let output = run(&arguments, folder.path());
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(6), "{said}{complained}");
    assert!(said.contains(&format!("server: {url}")), "{said}");
    assert!(said.contains("that one is not for me"), "{said}");
    assert!(said.contains("1 there already, 3 broken"), "{said}");
    // The job that is left has one run; those of the refused one are not sent.
    assert!(said.contains("7 "), "{said}");
    assert!(
        said.contains("the configuration file has a connection `erp`"),
        "{said}"
    );
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn many_large_jobs_are_sent_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let jobs: Vec<Value> = (0..200)
        .map(|number| {
            let script = format!("# {}\nWrite-Output {number}", "x".repeat(20_000));
            json!({
                "job_id": format!("3f2504e0-4f89-41d3-9a0c-{number:012}"),
                "name": format!("Job {number}"), "job_type": "powershell", "enabled": true,
                "configuration": {"type": "powershell", "script_content": script},
            })
        })
        .collect();
    let dump = json!({"job_configurations": jobs}).to_string();
    std::fs::write(folder.path().join("v1.json"), dump).unwrap();
    let server = Server::start(&folder.path().join("data"));
    let report = sent(folder.path(), &server, &["--from", "json:v1.json"]);
    assert_eq!(report["counts"]["added"], 200, "{}", report["counts"]);
    assert_eq!(server.get("/api/v2/jobs").json()["total_count"], 200);
}

#[test]
fn a_migration_to_a_server_that_breaks_off_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    many_runs(folder.path());
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let mut child = jobcell()
        .args(["migrate", "--server", &server.url, "--from", "sqlite:v1.db"])
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
    assert_eq!(server.get("/api/v2/jobs").json()["total_count"], 0);
    // One that broke off does not stand in the way of the next.
    let arguments = ["migrate", "--server", &server.url, "--from", "sqlite:v1.db"];
    eventually("the server takes an import again", || {
        let output = run(&arguments, folder.path());
        (output.status.code() == Some(6)).then_some(())
    });
    server.terminate();
    migrate(folder.path(), &["--from", "sqlite:v1.db"]);
    let migrated = state(&data);
    assert_eq!(migrated[SQL_JOB]["total_executions"], 59_903);
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    v1(folder.path());
    for (server, code, part) in [
        ("http://127.0.0.1:1", 4, "is it running?"),
        ("ftp://127.0.0.1", 2, "should be like http://127.0.0.1:5000"),
        ("http://me:secret@127.0.0.1:1", 2, "should be like"),
        ("http://192.0.2.1:5000", 2, "is not this machine"),
    ] {
        let arguments = ["migrate", "--server", server, "--from", "sqlite:v1.db"];
        let output = run(&arguments, folder.path());
        let complained = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{complained}");
        assert!(complained.contains(part), "{complained}");
    }
}
