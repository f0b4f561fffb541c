//! PowerShell jobs in the real binary, with a tool that tells how it was called
//! and what became of it.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions, eventually, shell_tool};

/// A server whose PowerShell is this shell script.
fn server(folder: &Path, script: &str, configuration: &str) -> Server {
    let tools = shell_tool(folder, script);
    let options = ServerOptions {
        configuration: Some(tools + configuration),
        ..ServerOptions::default()
    };
    Server::start_with(&folder.join("data"), options)
}

fn script_job(script: &Path, keys: &str) -> String {
    let path = script.display();
    format!("id: s\nname: S\ntype: PowerShell\nexecutionMode: script\nscriptPath: {path}\n{keys}")
}

const INLINE: &str = "id: s\nname: S\ntype: PowerShell\nexecutionMode: inline\ninlineScript: x\n";

fn script(folder: &Path) -> PathBuf {
    let script = folder.join("job.ps1");
    fs::write(&script, "Get-Date\n").unwrap();
    fs::canonicalize(script).unwrap()
}

fn is_gone(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // What its new parent has not yet taken note of is a zombie, and dead.
    let state = stat.rsplit(')').next().unwrap().trim_start().chars().next();
    matches!(state, None | Some('Z'))
}

fn all_gone(output: &str) {
    let ids: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(ids.len(), 2, "{output}");
    for id in ids {
        assert!(is_gone(id), "{id} is alive");
    }
}

/// Says its own id and that of a child, and waits for ever.
const LINGER: &str = "sleep 120 & echo $$ $!; wait";

#[test]
fn a_script_file_runs_in_place_with_its_folder_and_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "pwd; printf '%s\\n' \"$@\"", "");
    let script = script(folder.path());
    let work = fs::canonicalize(folder.path()).unwrap().join("work");
    fs::create_dir(&work).unwrap();
    let keys = format!(
        "executionPolicy: RemoteSigned\nworkingDirectory: {}\nparameters: {{Name: two words}}\n",
        work.display()
    );
    server.create(&script_job(&script, &keys));
    let ran = server.post("/api/v2/jobs/s/run").json();
    assert_eq!(ran["success"], true, "{ran}");
    let lines: Vec<&str> = ran["output"].as_str().unwrap().lines().collect();
    let expected = [
        work.to_str().unwrap(),
        "-NoProfile",
        "-NonInteractive",
        "-File",
        script.to_str().unwrap(),
        "-Name",
        "two words",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_script_outside_of_the_granted_folders_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "echo ran", "scriptFolders: [/usr/share]\n");
    server.create(&script_job(&script(folder.path()), ""));
    let ran = server.post("/api/v2/jobs/s/run").json();
    assert_eq!(ran["status"], "failed", "{ran}");
    assert_eq!(ran["output"], "", "{ran}");
    assert!(
        ran["error"].as_str().unwrap().contains("scriptFolders"),
        "{ran}"
    );
}

#[test]
fn a_timeout_is_recorded_once_all_of_the_group_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), LINGER, "");
    server.create(&format!("{INLINE}timeout: 1\n"));
    let ran = server.post("/api/v2/jobs/s/run").json();
    assert_eq!(ran["status"], "timeout", "{ran}");
    assert!(
        ran["error"].as_str().unwrap().contains("`timeout` of 1 s"),
        "{ran}"
    );
    all_gone(ran["output"].as_str().unwrap());
}

#[test]
fn a_cancel_is_recorded_once_all_of_the_group_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let linger = LINGER.replace(';', &format!(" | tee {};", pids.display()));
    let server = server(folder.path(), &linger, "");
    server.create(INLINE);
    let started = server.post("/api/v2/jobs/s/run?wait=false").json();
    let id = started["execution_id"].as_str().unwrap();
    eventually("the processes", || {
        let said = fs::read_to_string(&pids).unwrap_or_default();
        (said.ends_with('\n')).then_some(())
    });
    server.post(&format!("/api/v2/executions/{id}/cancel"));
    let run = eventually("the end", || {
        let run = server.get(&format!("/api/v2/executions/{id}")).json()["execution"].clone();
        (run["status"] != "running").then_some(run)
    });
    assert_eq!(run["status"], "cancelled", "{run}");
    all_gone(run["output_log"].as_str().unwrap());
}

#[test]
fn what_a_process_costs_is_recorded_and_its_zone_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let busy = "i=0; while [ $i -lt 1500000 ]; do i=$((i+1)); done\n\
                head -c 90000000 /dev/zero | tail -c 85000000 | sleep 1";
    let server = server(folder.path(), busy, "");
    server.create(&format!(
        "{INLINE}schedule: {{type: once, at: '2099-01-01T00:00:00', timezone: Europe/Oslo}}\n"
    ));
    let ran = server.post("/api/v2/jobs/s/run").json();
    assert_eq!(ran["success"], true, "{ran}");
    let row = server.get("/api/v2/jobs/s/history").json()["execution_history"][0].clone();
    assert!(row["cpu_time_seconds"].as_f64().unwrap() >= 0.2, "{row}");
    assert!(row["memory_usage_mb"].as_f64().unwrap() >= 70.0, "{row}");
    assert_eq!(row["execution_timezone"], "Europe/Oslo");
    assert_eq!(
        (&row["executed_by"], &row["execution_mode"]),
        (&json!("api"), &json!("manual"))
    );
    for filled in [
        "start_time",
        "end_time",
        "duration_seconds",
        "server_info",
        "plugin",
    ] {
        assert_ne!(row[filled], Value::Null, "{filled}");
    }
}

#[test]
fn a_process_without_a_folder_works_in_its_runs_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "pwd; echo left > here", "");
    server.create(&script_job(&script(folder.path()), ""));
    let ran = server.post("/api/v2/jobs/s/run").json();
    let place = ran["output"].as_str().unwrap().trim();
    assert!(place.contains("/scratch/run-"), "{ran}");
    assert!(!Path::new(place).exists(), "it goes with the run");
}

/// A text in the double quotes of YAML 1.2, whatever it holds.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '"' | '\\' => format!("\\{character}"),
        ' '..='~' => character.to_string(),
        other => format!("\\U{:08X}", u32::from(other)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Texts that shells, PowerShell or command lines could take for something else.
fn values() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::char::any().prop_filter("no NUL", |one| *one != '\0').prop_map(String::from),
        3 => proptest::sample::select(vec![
            "'", "\"", "`", "$", "$(id)", "${x}", "@(1)", ";", "|", "&", "-", "--", "-File", ":", ",",
            " ", "  ", "\t", "\n", "\r\n", "\\", "\\\"", "%PATH%", "\u{2018}", "\u{201c}", "\u{2013}",
            "$true", "#", "<", ">", "^", "!", "{", "}", "é", "😀", "\u{feff}",
        ]).prop_map(str::to_owned),
        1 => "[a-zA-Z0-9]{1,8}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn whatever_a_parameter_holds_arrives_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let mut runner = TestRunner::new(Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let checked = runner.run(&(values(), values()), |(first, second)| {
        let yaml = format!(
            "id: p\nname: P\ntype: PowerShell\nexecutionMode: inline\ninlineScript: |\n  \
             param([string]$First, [string]$Second)\n  Write-Output \"$First\"\n  Write-Output \"$Second\"\n\
             parameters:\n  First: {}\n  Second: {}\n",
            quoted(&first),
            quoted(&second)
        );
        server.create(&yaml);
        let ran = server.post("/api/v2/jobs/p/run").json();
        server.delete("/api/v2/jobs/p");
        prop_assert_eq!(&ran["success"], true, "{}", ran);
        prop_assert_eq!(&ran["output"], &format!("{first}\n{second}\n"));
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn lists_and_mappings_go_by_a_file_and_never_by_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let script = folder.path().join("job.ps1");
    fs::write(
        &script,
        "param([string[]]$Names, [hashtable]$More)\nWrite-Output \"$($Names.Count) $($More.Key)\"\n",
    )
    .unwrap();
    let script = fs::canonicalize(script).unwrap();
    server.create(&script_job(
        &script,
        "parameters:\n  Names: [\"a b\", \"$(id) </S>\", \"\"]\n  More: {Key: 5}\n",
    ));
    let ran = server.post("/api/v2/jobs/s/run").json();
    assert_eq!(ran["success"], true, "{ran}");
    let output = ran["output"].as_str().unwrap();
    if crate::harness::powershell() != crate::harness::stand_in() {
        assert_eq!(output.trim(), "3 5");
        return;
    }
    // The stand-in shows what it was given.
    assert!(
        output.contains("& $JobcellCall['Script'] @JobcellParameters"),
        "{output}"
    );
    assert!(
        output.contains(&format!("<S N=\"Value\">{}</S>", script.display())),
        "{output}"
    );
    assert!(
        output.contains("<LST><S>a b</S><S>$(id) &lt;/S&gt;</S><S></S></LST>"),
        "{output}"
    );
    assert!(output.contains("<I32 N=\"Value\">5</I32>"), "{output}");
}

#[test]
fn the_message_of_a_terminating_error_is_the_runs_error_and_its_stream_is_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let frame = "printf 'Exception: /s.ps1:1\\nLine |\\n   1 |  throw 1\\n     |  ~~~\\n     | no space left\\n' >&2; echo fine; exit 1";
    let server = server(folder.path(), frame, "");
    server.create(INLINE);
    let ran = server.post("/api/v2/jobs/s/run").json();
    assert_eq!(
        ran["error"], "the script ended with exit code 1: no space left",
        "{ran}"
    );
    let id = ran["execution_id"].as_str().unwrap();
    let log = |stream: &str| {
        server
            .get(&format!("/api/v2/executions/{id}/log?stream={stream}"))
            .text
    };
    assert_eq!(log("stdout"), "fine\n");
    assert!(log("stderr").starts_with("Exception: /s.ps1:1\n"));
    // Errors alone do not make it fail: the exit code decides.
    let folder = tempfile::tempdir().unwrap();
    let server = crate::processes::server(folder.path(), "echo trouble >&2; exit 0", "");
    server.create(INLINE);
    assert_eq!(server.post("/api/v2/jobs/s/run").json()["success"], true);
}

#[test]
fn a_doubtful_script_is_stored_with_a_warning_that_has_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "exit 0", "");
    let job = |script: &str| {
        json!({ "yaml_config": format!(
        "id: d\nname: D\ntype: PowerShell\nexecutionMode: inline\ninlineScript: |\n  {}\n",
        script.replace('\n', "\n  ")
    ) })
    };
    let doubtful = server.post_json("/api/v2/jobs", &job("Get-Date\nif ($a {\n  1\n}"));
    assert_eq!(doubtful.status, 201, "{}", doubtful.text);
    let warnings = doubtful.json()["warnings"].clone();
    let line = warnings[0]["line"].as_u64().unwrap_or_default();
    assert!((7..=9).contains(&line), "{}", doubtful.text);
    assert_eq!(warnings[0]["pointer"], "/inlineScript", "{warnings}");
    assert_eq!(server.post("/api/v2/jobs/d/run").json()["success"], true);
    // Nesting deeper than the sandbox's stack is no more than doubtful.
    for hostile in [
        "(".repeat(60_000),
        "$(".repeat(30_000),
        "{".repeat(60_000),
        "'\"".repeat(50_000),
    ] {
        let begun = std::time::Instant::now();
        let stored = server.put_json("/api/v2/jobs/d", &job(&hostile));
        assert_eq!(stored.status, 200, "{}", stored.text);
        println!(
            "a script of {} bytes was read in {:?}",
            hostile.len(),
            begun.elapsed()
        );
    }
}
