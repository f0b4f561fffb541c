//! The real binary, killed at one commit after the other: `strace` ends it as it
//! enters the system call that makes a commit durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use chrono::DateTime;
use serde_json::Value;

use crate::harness::{PATIENCE, Server, eventually, powershell};

/// So many commits are gone through, each in a process of its own.
const COMMITS: usize = 40;
const QUICK: &str = "id: quick\nname: Quick\ntype: SQL\nquery: SELECT 1\n\
    concurrency: {policy: allow}\n";
const TICKS: &str = "id: ticks\nname: Ticks\ntype: SQL\nquery: SELECT 1\n\
    schedule: {type: cron, expression: \"* * * * * *\", timezone: UTC}\n\
    catchUp: {policy: all, window: 1h, max: 1000}\nconcurrency: {policy: allow}\n";
const AFTER: &str = "id: after\nname: After\ntype: SQL\nquery: SELECT 1\n\
    after: [{job: quick, on: always}]\nconcurrency: {policy: allow}\n";

/// A server that is killed when it enters this commit, counted from its start;
/// none when it does not get so far as to listen.
fn doomed(data: &Path, commit: usize) -> (Child, Option<String>) {
    let configuration = data.with_extension("config.yaml");
    let tools = format!("tools:\n  powershell: {}\n", powershell().display());
    std::fs::write(&configuration, tools).unwrap();
    let mut child = Command::new("strace")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .args(["-f", "-qq", "-o", "/dev/null"])
        .args(["-e", "trace=fdatasync,fsync"])
        .args([
            "-e",
            &format!("inject=fdatasync,fsync:signal=KILL:when={commit}"),
        ])
        .arg(env!("CARGO_BIN_EXE_jobcell"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
            "--data",
        ])
        .arg(data)
        .arg("--config")
        .arg(&configuration)
        .stdout(Stdio::piped())
        .spawn()
        .expect("strace is installed: apt-get install strace");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("jobcell is ready on ");
    (child, url.map(str::to_owned))
}

/// Runs `quick` until the server is gone, and says which runs were acknowledged.
fn hammer(url: &str) -> Vec<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut acknowledged = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "the server was not killed");
        let reply = agent
            .post(format!("{url}/api/v2/jobs/quick/run"))
            .send_empty();
        let Ok(mut reply) = reply else {
            return acknowledged;
        };
        let Ok(body) = reply.body_mut().read_json::<Value>() else {
            return acknowledged;
        };
        assert_eq!(body["success"], true, "{body}");
        acknowledged.push(body["execution_id"].as_str().unwrap().to_owned());
    }
}

/// All runs of a job by their ids.
fn history(server: &Server, job: &str) -> BTreeMap<String, Value> {
    let rows = server.history(job).into_iter();
    rows.map(|row| (row["execution_id"].as_str().unwrap().to_owned(), row))
        .collect()
}

fn is_over(row: &Value) -> bool {
    row["status"] == "success" || row["status"] == "interrupted"
}

#[test]
fn a_kill_at_any_commit_loses_no_run_and_doubles_none() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    for yaml in [QUICK, TICKS, AFTER] {
        server.create(yaml);
    }
    server.kill();
    let mut acknowledged = Vec::new();
    for commit in 1..=COMMITS {
        let (mut child, url) = doomed(&data, commit);
        acknowledged.extend(url.map(|url| hammer(&url)).unwrap_or_default());
        // strace ends with its child, and passes the signal on.
        let ended = child.wait().unwrap();
        assert!(!ended.success(), "commit {commit} was never reached");
    }
    assert!(acknowledged.len() > COMMITS, "{}", acknowledged.len());

    let server = Server::start(&data);
    let stop = r#"{"enabled": false}"#;
    let [quick, after] = eventually("all to end", || {
        let jobs = ["quick", "after"].map(|job| history(&server, job));
        jobs.iter()
            .all(|rows| rows.values().all(is_over))
            .then_some(jobs)
    });
    for id in &acknowledged {
        assert_eq!(quick[id]["status"], "success", "{id}");
    }
    // Each run was followed once, whether it was acknowledged or cut short.
    let followed: Vec<&str> = after
        .values()
        .map(|row| row["triggered_by"].as_str().unwrap())
        .collect();
    let distinct: BTreeSet<&str> = followed.iter().copied().collect();
    assert_eq!(distinct.len(), followed.len(), "a run was followed twice");
    let ran: BTreeSet<&str> = quick.keys().map(String::as_str).collect();
    assert_eq!(distinct, ran, "not every run was followed");
    let disabled = server.send(
        "PUT",
        "/api/v2/jobs/ticks",
        "application/json",
        stop.as_bytes(),
    );
    assert_eq!(disabled.status, 200, "{}", disabled.text);
    let ticks = eventually("the ticks to end", || {
        let ticks = history(&server, "ticks");
        let over = |row: &Value| is_over(row) || row["error_code"] == "job_disabled";
        let left = ticks.values().find(|row| !over(row));
        if let Some(row) = left {
            let waits = row["status"] == "pending" || row["status"] == "running";
            assert!(waits, "it ended otherwise: {row}");
        }
        left.is_none().then_some(ticks)
    });
    let mut seconds: Vec<i64> = ticks
        .values()
        .map(|row| {
            let at = row["scheduled_time"].as_str().unwrap();
            DateTime::parse_from_rfc3339(at).unwrap().timestamp()
        })
        .collect();
    seconds.sort_unstable();
    let gapless = seconds.windows(2).all(|two| two[1] == two[0] + 1);
    assert!(gapless, "a second was lost or fired twice: {seconds:?}");
}
