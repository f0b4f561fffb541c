//! Command jobs in the real binary: what runs, with what, as whom.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Server, ServerOptions, eventually, jobcell, run, text};

fn server(folder: &Path, configuration: &str) -> Server {
    let options = ServerOptions {
        configuration: Some(configuration.to_owned()),
        ..ServerOptions::default()
    };
    Server::start_with(&folder.join("data"), options)
}

fn ran(server: &Server, keys: &str) -> Value {
    let id = format!("j{}", keys.len());
    server.create(&format!("id: {id}\nname: J\ntype: Command\n{keys}\n"));
    let ran = server.post(&format!("/api/v2/jobs/{id}/run")).json();
    server.delete(&format!("/api/v2/jobs/{id}"));
    ran
}

fn executable(folder: &Path, name: &str, script: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_script_runs_in_its_shell_with_arguments_input_and_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "");
    let hostile = "$(id); `id` \" ' \\\\ -x ü";
    let sh = ran(
        &server,
        "shell: sh\nscript: |\n  cat; printf '%s|' \"$1\" \"$JOBCELL_PARAMETER_name\" \"$GIVEN\" \"$JOBCELL_JOB_ID\"\n\
         stdin: in\narguments: ['a b']\nenvironment: {GIVEN: e}\n\
         parameters: {name: '$(id); `id` \" '' \\\\ -x ü'}",
    );
    assert_eq!(sh["success"], true, "{sh}");
    let job = sh["job_id"].as_str().unwrap();
    assert_eq!(sh["output"], format!("ina b|{hostile}|e|{job}|"), "{sh}");
    let python = ran(
        &server,
        "shell: python3\nscript: |\n  import sys\n  print('ä', sys.argv[1:])\narguments: [1, true]",
    );
    assert_eq!(python["output"], "ä ['1', 'true']\n", "{python}");
    let bash = ran(
        &server,
        "shell: bash\nscript: |\n  a=(1 2 3); echo ${#a[@]}",
    );
    assert_eq!(bash["output"], "3\n", "{bash}");
}

#[test]
fn the_exit_codes_that_the_job_names_are_good_and_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "");
    let good = ran(
        &server,
        "shell: sh\nscript: exit 3\nsuccessExitCodes: [0, 3]",
    );
    assert_eq!(
        (&good["success"], &good["return_code"]),
        (&true.into(), &3.into()),
        "{good}"
    );
    let bad = ran(&server, "shell: sh\nscript: echo no space >&2; exit 4");
    assert_eq!(
        bad["error"], "`sh` ended with exit code 4: no space",
        "{bad}"
    );
    assert_eq!(bad["return_code"], 4);
}

#[test]
fn only_what_is_granted_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "");
    let denied = ran(&server, "program: curl");
    assert_eq!(denied["status"], "failed", "{denied}");
    let error = denied["error"].as_str().unwrap();
    assert!(
        error.contains("`tools.curl`") && error.contains("powershell, sh, bash, python3, cmd"),
        "{error}"
    );
    for program in ["/bin/true", "../sh", "a b"] {
        let yaml = format!("id: p\nname: P\ntype: Command\nprogram: {program}\n");
        let refused = server.send("POST", "/api/v2/jobs", "application/yaml", yaml.as_bytes());
        assert_eq!(refused.status, 422, "{program}: {}", refused.text);
    }
    for keys in [
        "",
        "program: sh\nshell: sh\nscript: x\n",
        "shell: sh\n",
        "script: x\n",
        "shell: zsh\nscript: x\n",
    ] {
        let yaml = format!("id: p\nname: P\ntype: Command\n{keys}");
        let refused = server.send("POST", "/api/v2/jobs", "application/yaml", yaml.as_bytes());
        assert_eq!(refused.status, 422, "{keys}: {}", refused.text);
    }
}

#[test]
fn a_grant_holds_whatever_the_job_says() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().canonicalize().unwrap().join("work");
    fs::create_dir_all(work.join("deep")).unwrap();
    let tool = executable(
        folder.path(),
        "tool",
        "#!/bin/sh\npwd\necho \"$FIXED $OWN\"\nprintf '<%s>' \"$@\"\n",
    );
    let configuration = format!(
        "tools:\n  report:\n    path: {tool}\n    arguments: [--quiet, '{{arguments}}', --end]\n    \
         environment: {{FIXED: admin}}\n    workingFolders: [{}]\n",
        work.display()
    );
    let server = server(folder.path(), &configuration);
    let inside = ran(
        &server,
        &format!(
            "program: report\narguments: [a, '--end x']\nenvironment: {{FIXED: job, OWN: job}}\nworkingDirectory: {}/deep",
            work.display()
        ),
    );
    let expected = format!(
        "{}/deep\nadmin job\n<--quiet><a><--end x><--end>",
        work.display()
    );
    assert_eq!(inside["output"], expected, "{inside}");
    let outside = ran(&server, "program: report\nworkingDirectory: /tmp");
    let error = outside["error"].as_str().unwrap();
    assert!(error.contains("tools.report.workingFolders"), "{error}");
}

#[test]
fn a_tool_that_was_changed_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let tool = executable(folder.path(), "tool", "#!/bin/sh\necho right\n");
    let hash = std::process::Command::new("sha256sum")
        .arg(&tool)
        .output()
        .unwrap();
    let hash = text(&hash.stdout)[..64].to_owned();
    let configuration = format!("tools: {{report: {{path: {tool}, sha256: {hash}}}}}\n");
    let server = server(folder.path(), &configuration);
    assert_eq!(ran(&server, "program: report")["output"], "right\n");
    executable(folder.path(), "tool", "#!/bin/sh\necho wrong\n");
    let changed = ran(&server, "program: report");
    assert_eq!(changed["output"], "", "{changed}");
    assert!(
        changed["error"].as_str().unwrap().contains("SHA-256"),
        "{changed}"
    );
}

#[test]
fn a_tool_runs_as_the_user_of_its_grant() {
    if !nix::unistd::geteuid().is_root() {
        println!("left out: only root can run a tool as somebody else");
        return;
    }
    for cgroups in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let configuration =
            format!("cgroups: {cgroups}\ntools: {{sh: {{path: /bin/sh, runAs: nobody}}}}\n");
        let server = server(folder.path(), &configuration);
        let script = "shell: sh\nscript: |\n  id -un; echo $USER; id -G; echo x > made && ls -ld . | cut -c1-10; cat /etc/shadow";
        let ran = ran(&server, script);
        let output = ran["output"].as_str().unwrap();
        // Two streams have no order between them.
        assert!(output.starts_with("nobody\nnobody\n65534\n"), "{ran}");
        assert!(output.contains("drwx------\n"), "{ran}");
        assert!(output.contains("Permission denied"), "{ran}");
        // It passes to its own folder, and looks at nothing beside it.
        for entry in fs::read_dir(folder.path().join("data")).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
            let expected = if entry.file_name() == "scratch" {
                0o011
            } else {
                0
            };
            assert_eq!(mode, expected, "{}", entry.path().display());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let server = server(
        folder.path(),
        "tools: {sh: {path: /bin/sh, runAs: no-such-user}}\n",
    );
    let nobody = ran(&server, "shell: sh\nscript: id");
    assert!(
        nobody["error"].as_str().unwrap().contains("no-such-user"),
        "{nobody}"
    );
}

#[test]
fn a_tool_may_run_as_who_the_server_is() {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    if !nix::unistd::geteuid().is_root() {
        println!("left out: only root can be somebody else");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let job = "id: c\nname: C\ntype: Command\nshell: sh\nscript: id -un; echo $LOGNAME\n";
    fs::write(folder.path().join("c.yaml"), job).unwrap();
    let tools = "tools: {sh: {path: /bin/sh, runAs: nobody}}\n";
    fs::write(folder.path().join("tools.yaml"), tools).unwrap();
    let output = jobcell()
        .args(["run", "c.yaml", "--data", "data", "--config", "tools.yaml"])
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let (said, why) = (text(&output.stdout), text(&output.stderr));
    assert!(said.contains("nobody\nnobody\n"), "{said}{why}");
}

#[test]
fn what_a_job_keeps_in_its_environment_is_on_no_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "");
    let script = "shell: sh\nenvironment: {TOKEN: se-cr-et}\nscript: |\n  \
                  cat /proc/$$/cmdline /proc/$PPID/cmdline | tr '\\0' ' '; [ \"$TOKEN\" = se-cr-et ]";
    let ran = ran(&server, script);
    assert_eq!(ran["success"], true, "{ran}");
    assert!(
        !ran["output"].as_str().unwrap().contains("se-cr-et"),
        "{ran}"
    );
}

#[test]
fn ctrl_c_ends_even_what_left_the_session_of_a_run_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let yaml = format!(
        "id: c\nname: C\ntype: Command\nshell: sh\nscript: |\n  setsid sleep 600 & echo $! > {}\n  wait\n  sleep 600\n",
        file.display()
    );
    fs::write(folder.path().join("c.yaml"), yaml).unwrap();
    let mut child = jobcell()
        .args(["run", "c.yaml", "--data", "data"])
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    let pid = eventually("the process", || {
        let said = fs::read_to_string(&file).unwrap_or_default();
        said.strip_suffix('\n').map(str::to_owned)
    });
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[test]
fn a_low_limit_on_open_files_is_the_programs_and_not_the_servers() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "id: c\nname: C\ntype: Command\nshell: sh\nscript: |\n  ulimit -Sn; ulimit -Hn; grep 'open files' /proc/$SERVER/limits\n";
    fs::write(folder.path().join("c.yaml"), yaml).unwrap();
    let limited = "ulimit -Sn 100; ulimit -Hn; echo \"environment: {SERVER: '$$'}\" >> c.yaml; exec \"$0\" run c.yaml --data data";
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", limited])
        .arg(jobcell().get_program())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = text(&output.stdout);
    let hard = said.lines().next().unwrap();
    assert!(said.contains(&format!("100\n{hard}\n")), "{said}");
    let own = said.lines().find(|line| line.starts_with("Max open files"));
    let own: Vec<&str> = own.unwrap().split_whitespace().collect();
    assert_eq!(own[3..5], [hard, hard], "{said}");
}

#[test]
fn doctor_runs_nothing_that_the_configuration_names() {
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    let script = format!("#!/bin/sh\necho x >> {}\n", ran.display());
    let path = executable(folder.path(), "tool", &script);
    let roles = ["powershell", "bash", "python3", "cmd"];
    let tools = roles.map(|role| format!("{role}: {path}"));
    let configuration = format!("tools: {{{}}}\n", tools.join(", "));
    fs::write(folder.path().join("c.yaml"), configuration).unwrap();
    let output = run(&["doctor", "--config", "c.yaml"], folder.path());
    let said = text(&output.stdout);
    for role in roles {
        let line = format!("  {role}: {path} (version not asked for)");
        assert!(said.contains(&line), "{said}");
    }
    assert!(!ran.exists());
}

#[test]
fn doctor_tells_what_is_there_and_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["doctor"], folder.path());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("processes are held together by "), "{said}");
    assert!(said.contains("system: has all"), "{said}");
    assert!(
        said.contains("  bash: /usr/bin/bash (GNU bash, version "),
        "{said}"
    );
    assert!(
        said.contains("  sh: /usr/bin/sh (version not asked for)"),
        "{said}"
    );
    assert!(said.contains("cmd: MISSING: `cmd` was not found"), "{said}");
    fs::write(
        folder.path().join("c.yaml"),
        "tools: {backup: /nowhere/backup}\nconnections:\n  gone: {sqlite: /nowhere/a.db}\n  \
         off: {type: postgresql, host: 127.0.0.1, port: 1, username: u, password: hidden}\n",
    )
    .unwrap();
    let output = run(
        &["doctor", "--config", "c.yaml", "--format", "json"],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(4));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let backup = &report["tools"][0];
    assert_eq!(backup["role"], "backup");
    assert!(
        backup["problem"]
            .as_str()
            .unwrap()
            .contains("/nowhere/backup"),
        "{report}"
    );
    let connections = report["connections"].as_array().unwrap();
    let problem = |index: usize| connections[index]["problem"].as_str().unwrap();
    assert_eq!(connections[0]["name"], "gone");
    assert!(problem(0).contains("its file does not exist"), "{report}");
    assert!(problem(1).contains("127.0.0.1:1"), "{report}");
    assert!(!report.to_string().contains("hidden"), "{report}");
    assert!(!folder.path().join(".local").exists(), "it changes nothing");
}
