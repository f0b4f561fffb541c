//! An orderly end: runs may finish, clients get their replies, and nothing is
//! left open.

use std::time::{Duration, Instant};

use crate::harness::{Server, ServerOptions, eventually, powershell};

fn sleeper(id: &str, seconds: u32) -> String {
    format!(
        "id: {id}\nname: Sleeper\ntype: PowerShell\nexecutionMode: inline\n\
         inlineScript: |\n  Start-Sleep -Seconds {seconds}\n  Write-Host \"slept\"\n"
    )
}

#[test]
fn a_waiting_client_gets_its_reply_before_the_server_ends() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(&sleeper("two", 2));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post("/api/v2/jobs/two/run"));
        eventually("the run", || {
            let history = server.get("/api/v2/jobs/two/history").json();
            (history["execution_history"][0]["status"] == "running").then_some(())
        });
        server.ask_to_end();
        let reply = waiting.join().unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["status"], "success", "{}", reply.text);
    });
    assert!(server.wait().success());
}

#[test]
fn runs_beyond_the_grace_period_are_interrupted_and_their_processes_gone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let configuration = format!(
        "shutdownGrace: 200ms\nlimits: {{stopGrace: 300ms}}\ntools: {{powershell: {}}}\n",
        powershell().display()
    );
    let server = Server::start_with(
        &data,
        ServerOptions {
            configuration: Some(configuration.clone()),
            ..Default::default()
        },
    );
    server.create(&sleeper("long", 120));
    let started = server.post("/api/v2/jobs/long/run?wait=false").json();
    let id = started["execution_id"].as_str().unwrap().to_owned();
    let before = Instant::now();
    assert!(server.terminate().success());
    assert!(
        before.elapsed() < Duration::from_secs(20),
        "the run was waited for"
    );

    let server = Server::start(&data);
    let run = server.get(&format!("/api/v2/executions/{id}")).json();
    assert_eq!(run["execution"]["status"], "interrupted", "{run}");
    assert!(
        run["execution"]["error_message"]
            .as_str()
            .unwrap()
            .contains("shut down")
    );
}

#[test]
fn a_log_that_can_not_be_written_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let options = ServerOptions {
        log: Some(full.unwrap()),
        ..Default::default()
    };
    let server = Server::start_with(&folder.path().join("data"), options);
    server.create("id: a\nname: A\ntype: SQL\nquery: SELECT 1\n");
    for _ in 0..20 {
        let ran = server.post("/api/v2/jobs/a/run").json();
        assert_eq!(ran["success"], true, "{ran}");
    }
    assert!(server.terminate().success());
}

#[test]
fn the_end_of_the_session_is_an_orderly_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.signal(nix::sys::signal::Signal::SIGHUP);
    assert!(server.wait().success());
}

#[test]
fn a_second_signal_ends_what_still_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    server.create(&sleeper("long", 120));
    let started = server.post("/api/v2/jobs/long/run?wait=false").json();
    let id = started["execution_id"].as_str().unwrap().to_owned();
    server.ask_to_end();
    // Only once the first was taken is the next one the second.
    eventually("no more connections", || {
        std::net::TcpStream::connect(server.url.trim_start_matches("http://"))
            .is_err()
            .then_some(())
    });
    server.ask_to_end();
    server.wait();
    let server = Server::start(&data);
    let run = server.get(&format!("/api/v2/executions/{id}")).json();
    let said = run["execution"]["error_message"].as_str().unwrap();
    assert!(
        said.contains("shut down"),
        "recorded by the old process: {run}"
    );
}

#[test]
fn any_loopback_address_is_a_name_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions {
        listen: Some("127.0.0.2:0"),
        ..Default::default()
    };
    let server = Server::start_with(&folder.path().join("data"), options);
    assert!(
        server.url.starts_with("http://127.0.0.2:"),
        "{}",
        server.url
    );
    assert_eq!(server.get("/health/ready").status, 200);
}
