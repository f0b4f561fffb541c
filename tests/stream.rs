//! What somebody sees of a run that goes on, over the wire.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use crate::harness::{Server, ServerOptions, shell_tool};

/// Prints, waits for a file, and prints what is in it.
const WAITS: &str = "printf '\\033[31mfirst gr\\303'; printf '\\274n\\033[0m\\n'\n\
                     while [ ! -s GO ]; do sleep 0.01; done; cat GO";

fn server(folder: &Path) -> Server {
    let script = WAITS.replace("GO", &folder.join("go").display().to_string());
    let options = ServerOptions {
        configuration: Some(shell_tool(folder, &script)),
        ..ServerOptions::default()
    };
    Server::start_with(&folder.join("data"), options)
}

/// The next event of a stream: its name and its data.
fn next(stream: &mut impl BufRead) -> Option<(String, Value)> {
    let mut name = String::new();
    for line in stream.lines() {
        let line = line.unwrap();
        if let Some(event) = line.strip_prefix("event: ") {
            event.clone_into(&mut name);
        } else if let Some(data) = line.strip_prefix("data: ") {
            return Some((name, serde_json::from_str(data).unwrap()));
        }
    }
    None
}

/// Reads output up to the end of a line.
fn line(stream: &mut impl BufRead) -> String {
    let mut text = String::new();
    while !text.ends_with('\n') {
        let (name, data) = next(stream).expect("the run goes on");
        assert_eq!(
            (name.as_str(), &data["stream"]),
            ("output", &"stdout".into())
        );
        text += data["text"].as_str().unwrap();
    }
    text
}

#[test]
fn output_is_seen_while_the_run_that_writes_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    server.create("id: s\nname: S\ntype: PowerShell\nexecutionMode: inline\ninlineScript: x\n");
    let started = server.post("/api/v2/jobs/s/run?wait=false").json();
    let path = format!(
        "/api/v2/executions/{}",
        started["execution_id"].as_str().unwrap()
    );
    let mut plain = BufReader::new(server.open(&format!("{path}/stream?ansi=strip")));
    let mut kept = BufReader::new(server.open(&format!("{path}/stream")));
    assert_eq!(line(&mut plain), "first grün\n");
    assert_eq!(line(&mut kept), "\u{1b}[31mfirst grün\u{1b}[0m\n");
    let run = server.get(&path).json();
    assert_eq!(run["execution"]["status"], "running", "{run}");

    fs::write(folder.path().join("go"), "second\n").unwrap();
    assert_eq!(line(&mut plain), "second\n");
    let rest: Vec<_> = std::iter::from_fn(|| next(&mut plain)).collect();
    let (name, end) = rest.last().unwrap();
    assert_eq!(name, "end");
    assert_eq!(*end, server.get(&path).json()["execution"]);
    assert_eq!(end["status"], "success", "{end}");
}

#[test]
fn a_stream_holds_no_shutdown_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    server.create("id: s\nname: S\ntype: PowerShell\nexecutionMode: inline\ninlineScript: x\n");
    let started = server.post("/api/v2/jobs/s/run?wait=false").json();
    let path = format!(
        "/api/v2/executions/{}",
        started["execution_id"].as_str().unwrap()
    );
    let mut stream = BufReader::new(server.open(&format!("{path}/stream")));
    line(&mut stream);
    server.ask_to_end();
    // It ends before its run, which has a grace period.
    assert_eq!(next(&mut stream), None);
    fs::write(folder.path().join("go"), "second\n").unwrap();
    assert!(server.wait().success());
    let server = self::server(folder.path());
    let run = server.get(&path).json()["execution"].clone();
    assert_eq!(run["status"], "success", "{run}");
}
