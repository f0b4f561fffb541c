//! The binary as a person at a terminal meets it: help, exit codes, messages.

use std::fs;
use std::process::Stdio;

use crate::harness::{jobcell, repository, run, text};

/// Compares with a golden file, or writes it where that is asked for.
fn golden(name: &str, found: &str) {
    let file = repository().join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, found).unwrap();
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        wanted == found,
        "{name} differs; run the tests once with UPDATE_GOLDEN=1 and read the difference:\n{found}"
    );
}

#[test]
fn help_is_as_reviewed() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        "",
        "serve",
        "demo",
        "run",
        "validate",
        "migrate",
        "schedule explain",
        "connection add",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = run(&arguments, folder.path());
        assert!(output.status.success());
        let name = if command.is_empty() { "help" } else { command };
        golden(
            &format!("{}.txt", name.replace(' ', "-")),
            &text(&output.stdout),
        );
    }
}

#[test]
fn a_valid_file_is_said_to_be_valid() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("a.yaml"),
        "id: a\nname: A\ntype: SQL\nquery: SELECT 1\n",
    )
    .unwrap();
    let output = run(&["validate", "a.yaml"], folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "a.yaml: valid\n");
}

#[test]
fn an_invalid_file_is_shown_with_the_line_marked() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "id: a\nname: A\ntype: SQL\nqueri: SELECT 1\ntimeout: -5\n";
    fs::write(folder.path().join("b.yaml"), yaml).unwrap();
    let output = run(&["validate", "b.yaml", "missing.yaml"], folder.path());
    assert_eq!(output.status.code(), Some(3));
    golden("invalid.txt", &text(&output.stdout));
}

#[test]
fn findings_come_as_json_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("b.yaml"),
        "id: a\nname: A\ntype: SQL\nqueri: x\n",
    )
    .unwrap();
    let output = run(&["validate", "--format", "json", "b.yaml"], folder.path());
    assert_eq!(output.status.code(), Some(3));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["valid"], false);
    assert_eq!(found[0]["problems"][0]["severity"], "error");
    assert!(found[0]["problems"][0]["line"].is_u64(), "{found}");
}

#[test]
fn run_prints_what_the_job_prints_and_ends_with_its_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "id: a\nname: A\ntype: SQL\nquery: SELECT 'hello' AS greeting\n";
    fs::write(folder.path().join("a.yaml"), yaml).unwrap();
    let output = run(&["run", "a.yaml", "--data", "data"], folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("hello"));
    assert!(text(&output.stderr).contains("success"));

    fs::write(
        folder.path().join("f.yaml"),
        yaml.replace("SELECT", "SELEKT"),
    )
    .unwrap();
    let output = run(&["run", "f.yaml", "--data", "data"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("SELEKT"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn run_passes_parameters_on_and_reads_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = jobcell()
        .args([
            "run",
            "-",
            "--parameter",
            "name=Zoë",
            "--format",
            "json",
            "--data",
            "data",
        ])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let yaml =
        "id: a\nname: A\ntype: SQL\nquery: SELECT :name AS who\nparameters: {name: nobody}\n";
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), yaml.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["success"], true, "{answer}");
    assert!(
        answer["output"].as_str().unwrap().contains("Zoë"),
        "{answer}"
    );
}

#[test]
fn a_job_past_its_time_ends_with_a_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "id: a\nname: A\ntype: SQL\ntimeout: 1\nquery: |\n  WITH RECURSIVE c(x) AS \
                (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c\n";
    fs::write(folder.path().join("a.yaml"), yaml).unwrap();
    let output = run(&["run", "a.yaml", "--data", "data"], folder.path());
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
}

/// Starts a job that says the id of its process, sends a signal to `jobcell`, and
/// looks that nothing is left.
fn check_signal(signal: nix::sys::signal::Signal) {
    use std::io::BufRead;
    let folder = tempfile::tempdir().unwrap();
    let yaml = "id: a\nname: A\ntype: PowerShell\nexecutionMode: inline\ninlineScript: x\n";
    fs::write(folder.path().join("a.yaml"), yaml).unwrap();
    let tool = folder.path().join("tool");
    fs::write(&tool, "#!/bin/sh\nsleep 120 &\necho $$ $!\nwait\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&tool, mode).unwrap();
    let configuration = format!("tools: {{powershell: {}}}\n", tool.display());
    fs::write(folder.path().join("config.yaml"), configuration).unwrap();
    let mut child = jobcell()
        .args(["run", "a.yaml", "--data", "data", "--config", "config.yaml"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
    let processes: Vec<i32> = line
        .split(' ')
        .map(|id| id.trim().parse().unwrap())
        .collect();
    assert_eq!(processes.len(), 2);
    for id in processes {
        // What its new parent has not yet taken note of is a zombie, and dead.
        let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let state = state
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .chars()
            .next();
        assert!(
            matches!(state, None | Some('Z')),
            "{id} after {signal}: {state:?}"
        );
    }
    let scratch = fs::read_dir(folder.path().join("data/scratch")).unwrap();
    assert_eq!(scratch.count(), 0, "the private folder is gone");
}

#[test]
fn any_signal_to_end_cancels_a_run_and_its_processes() {
    use nix::sys::signal::Signal;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        check_signal(signal);
    }
}

#[test]
fn output_that_nobody_takes_ends_no_command_in_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let good = "id: a\nname: A\ntype: SQL\nquery: SELECT 1\n";
    fs::write(folder.path().join("a.yaml"), good).unwrap();
    let commands = [
        &["validate", "a.yaml"][..],
        &["validate", "--format", "json", "a.yaml"],
        &["run", "a.yaml", "--data", "data"],
        &["run", "--format", "json", "a.yaml", "--data", "data"],
        &["demo"],
    ];
    for arguments in commands {
        let mut command = jobcell();
        command
            .args(arguments)
            .env("HOME", folder.path())
            .current_dir(folder.path());
        // A reader that has gone: nothing more was wanted.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        // A full disk: the answer is lost, and that is said.
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {said}");
        assert!(said.contains("standard output can't be written"), "{said}");
    }
}

#[test]
fn wrong_use_is_told_apart_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], code: i32, words: &str| {
        let output = run(arguments, folder.path());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(
            said.contains(words),
            "{arguments:?}: `{words}` is not in {said}"
        );
    };
    fs::write(folder.path().join("bad.yaml"), "limit:\n  a: 1\n").unwrap();
    fs::write(folder.path().join("a.yaml"), "id: a\n").unwrap();
    check(&["serv"], 2, "serve");
    check(&["run", "nowhere.yaml"], 3, "nowhere.yaml");
    check(&["run", "a.yaml", "--data", "data"], 3, "name");
    check(&["run", "a.yaml", "--parameter", "x"], 2, "NAME=VALUE");
    let good = "id: a\nname: A\ntype: SQL\nquery: SELECT 1\n";
    fs::write(folder.path().join("good.yaml"), good).unwrap();
    let unknown = ["run", "good.yaml", "--data", "data", "--parameter", "x=1"];
    check(&unknown, 2, "the job has no parameter `x`");
    fs::write(folder.path().join("wide.yaml"), [0xff, 0xfe, b'i', 0]).unwrap();
    check(
        &["run", "wide.yaml", "--data", "data"],
        3,
        "save it as UTF-8",
    );
    check(&["run", "/dev/zero", "--data", "data"], 3, "1048576 bytes");
    check(&["demo", "--config", "bad.yaml"], 2, "limit");
    check(&["demo", "--config", "nowhere.yaml"], 2, "nowhere.yaml");
    check(&["demo", "--log", "nonsense=="], 2, "nonsense==");
    check(&["serve", "--listen", "0.0.0.0:0"], 2, "loopback");
    check(&["serve", "--listen", "here"], 2, "here");
    fs::write(folder.path().join("file"), "").unwrap();
    check(
        &["serve", "--listen", "127.0.0.1:0", "--data", "file"],
        4,
        "file",
    );
    fs::create_dir(folder.path().join("broken")).unwrap();
    fs::write(folder.path().join("broken/jobcell.redb"), "no database").unwrap();
    check(
        &["serve", "--listen", "127.0.0.1:0", "--data", "broken"],
        4,
        "jobcell.redb",
    );
}

/// A job of type Command may name any tool, so that none is beyond all use.
#[test]
fn a_tool_of_a_name_that_looks_misspelt_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let job = "id: a\nname: A\ntype: Command\nprogram: powershell5\narguments: [-c, echo here]\n";
    fs::write(folder.path().join("a.yaml"), job).unwrap();
    let tools = "tools: {powershell5: /bin/sh}\n";
    fs::write(folder.path().join("c.yaml"), tools).unwrap();
    let arguments = ["run", "a.yaml", "--data", "data", "--config", "c.yaml"];
    let output = run(&arguments, folder.path());
    let (said, warned) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{warned}");
    assert!(said.contains("here"), "{said}");
    assert!(
        warned.contains("powershell5") && warned.contains("misspelt"),
        "{warned}"
    );
}

/// The pool of instances reserves terabytes of addresses, which such a limit
/// refuses; then each run gets its memory from the system.
#[test]
fn runs_without_a_pool_where_addresses_are_scarce() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "id: a\nname: A\ntype: SQL\nquery: SELECT 'fits' AS it\n";
    fs::write(folder.path().join("a.yaml"), yaml).unwrap();
    let binary = jobcell().get_program().to_owned();
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -v 4000000; exec \"$0\" run a.yaml --data data",
        ])
        .arg(binary)
        .env_clear()
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(text(&output.stdout).contains("fits"));
    assert!(said.contains("no pool of instances"), "{said}");
}

#[test]
fn the_log_is_one_json_object_a_line_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["demo", "--log-format", "json", "--log", "debug"];
    let output = run(&arguments, folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let log = text(&output.stderr);
    assert!(log.lines().count() > 0, "nothing was logged");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["timestamp"].is_string());
    }
}
