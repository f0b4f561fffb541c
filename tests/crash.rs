//! What a crash of the server leaves: every run that was acknowledged, and no
//! run that goes on for ever.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::harness::{Server, eventually};

const QUICK: &str = "id: quick\nname: Quick\ntype: SQL\nquery: SELECT 1\n\
                     concurrency: {policy: allow}\n";
const LONG: &str = "id: long\nname: Long\ntype: PowerShell\nexecutionMode: inline\n\
                    inlineScript: Start-Sleep -Seconds 15\nconcurrency: {policy: allow}\n";
const LONG_RUNS: usize = 50;
const CLIENTS: usize = 8;

/// All runs of a job by their ids.
fn history(server: &Server, job: &str) -> BTreeMap<String, Value> {
    let rows = server.history(job).into_iter();
    rows.map(|row| (row["execution_id"].as_str().unwrap().to_owned(), row))
        .collect()
}

/// Runs `quick` again and again until the server is gone; collects what it
/// acknowledged.
fn hammer(url: &str, stop: &AtomicBool, acknowledged: &Mutex<Vec<String>>) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    while !stop.load(Ordering::Relaxed) {
        let reply = agent
            .post(format!("{url}/api/v2/jobs/quick/run"))
            .send_empty();
        let Ok(mut reply) = reply else { return };
        let Ok(body) = reply.body_mut().read_json::<Value>() else {
            return;
        };
        assert_eq!(body["success"], true, "{body}");
        let id = body["execution_id"].as_str().unwrap().to_owned();
        acknowledged.lock().unwrap().push(id);
    }
}

#[test]
fn keeps_acknowledged_runs_and_closes_what_was_running() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    server.create(QUICK);
    server.create(LONG);
    let mut going_on = Vec::new();
    for _ in 0..LONG_RUNS {
        let started = server.post("/api/v2/jobs/long/run?wait=false");
        assert_eq!(started.status, 202, "{}", started.text);
        going_on.push(started.json()["execution_id"].as_str().unwrap().to_owned());
    }
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (url, stop) = (server.url.clone(), Arc::clone(&stop));
            let acknowledged = Arc::clone(&acknowledged);
            std::thread::spawn(move || hammer(&url, &stop, &acknowledged))
        })
        .collect();
    eventually("acknowledged runs", || {
        (acknowledged.lock().unwrap().len() > 200).then_some(())
    });
    server.kill();
    stop.store(true, Ordering::Relaxed);
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());

    let server = Server::start(&data);
    let quick = history(&server, "quick");
    for id in acknowledged.lock().unwrap().iter() {
        assert_eq!(quick[id]["status"], "success", "{id} was acknowledged");
    }
    let long = history(&server, "long");
    assert_eq!(long.len(), LONG_RUNS);
    for id in &going_on {
        assert_eq!(long[id]["status"], "interrupted");
        assert!(long[id]["end_time"].is_string());
        assert!(
            long[id]["error_message"]
                .as_str()
                .unwrap()
                .contains("server ended")
        );
    }
    for row in quick.values().chain(long.values()) {
        assert_ne!(row["status"], "running");
    }
    let again = server.post("/api/v2/jobs/quick/run").json();
    assert_eq!(again["success"], true, "{again}");
}

#[test]
fn a_second_server_on_one_data_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let output = crate::harness::jobcell()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(server.data())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = crate::harness::text(&output.stderr);
    assert!(
        said.contains("another jobcell uses the data folder"),
        "{said}"
    );
    assert_eq!(server.get("/health/ready").status, 200);
}
