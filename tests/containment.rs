//! No process outlives its run unseen: cancels, crashes, bounds, what can't be
//! killed, in the real binary and for both ways of holding processes together.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Server, ServerOptions, eventually};

/// With cgroups as far as the machine has them, and without.
const BOTH: [&str; 2] = ["cgroups: true\n", "cgroups: false\n"];

fn server(data: &Path, configuration: &str) -> Server {
    let options = ServerOptions {
        configuration: Some(configuration.to_owned()),
        ..ServerOptions::default()
    };
    Server::start_with(data, options)
}

/// A job that says the ids of its process and of two that try to get away, in a
/// file, and waits.
fn lingering(file: &Path) -> String {
    format!(
        "id: linger\nname: Linger\ntype: Command\nshell: sh\nconcurrency: {{policy: allow}}\n\
         script: |\n  setsid sleep 600 & echo $! >> {0}\n  (setsid sh -c 'echo $$ >> {0}; trap \"\" TERM; sleep 600' &)\n  echo $$ >> {0}\n  echo started\n  wait\n  sleep 600\n",
        file.display()
    )
}

fn pids(file: &Path, count: usize) -> Vec<String> {
    eventually("all processes", || {
        let said = fs::read_to_string(file).unwrap_or_default();
        let pids: Vec<String> = said.lines().map(str::to_owned).collect();
        (pids.len() == count && said.ends_with('\n')).then_some(pids)
    })
}

/// Whether a process runs; a zombie does not.
fn runs(pid: &String) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn start(server: &Server, job: &str, count: usize) -> Vec<String> {
    let start = |_| {
        let started = server.post(&format!("/api/v2/jobs/{job}/run?wait=false"));
        assert_eq!(started.status, 202, "{}", started.text);
        started.json()["execution_id"].as_str().unwrap().to_owned()
    };
    (0..count).map(start).collect()
}

fn ended(server: &Server, id: &str) -> Value {
    eventually("the end of the run", || {
        let run = server.get(&format!("/api/v2/executions/{id}")).json()["execution"].clone();
        (run["status"] != "running").then_some(run)
    })
}

#[test]
fn after_a_crash_all_processes_are_gone_and_all_runs_closed_within_five_seconds() {
    for configuration in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = server(&data, configuration);
        let file = folder.path().join("pids");
        first.create(&lingering(&file));
        let runs_going_on = start(&first, "linger", 20);
        let all = pids(&file, 60);
        first.kill();
        assert!(all.iter().all(runs), "a crash ends none of them");
        let restart = Instant::now();
        let second = server(&data, configuration);
        for id in &runs_going_on {
            let run = ended(&second, id);
            assert_eq!(run["status"], "interrupted", "{run}");
        }
        let took = restart.elapsed();
        let left: Vec<&String> = all.iter().filter(|pid| runs(pid)).collect();
        assert!(left.is_empty(), "{configuration}: {left:?}");
        println!("{configuration}: recovered from a crash with 20 runs in {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn two_hundred_runs_that_are_cancelled_together_leave_no_process() {
    for configuration in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let grace = format!("{configuration}limits: {{stopGrace: 500ms}}\n");
        let server = server(&folder.path().join("data"), &grace);
        let file = folder.path().join("pids");
        server.create(&lingering(&file));
        let ids = start(&server, "linger", 200);
        let all = pids(&file, 600);
        for id in &ids {
            let path = format!("/api/v2/executions/{id}/cancel");
            let cancelled = server.post(&path);
            assert!(cancelled.status < 300, "{}", cancelled.text);
        }
        for id in &ids {
            let run = ended(&server, id);
            assert_eq!(run["status"], "cancelled", "{run}");
            assert_eq!(run["output_log"], "started\n", "{run}");
        }
        let left: Vec<&String> = all.iter().filter(|pid| runs(pid)).collect();
        assert!(left.is_empty(), "{configuration}: {left:?}");
    }
}

#[test]
fn a_bound_of_the_job_ends_it_and_names_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(
        &folder.path().join("data"),
        "limits: {processMemory: 100 MiB}\n",
    );
    let job = |id: &str, limits: &str, script: &str| {
        server.create(&format!(
            "id: {id}\nname: {id}\ntype: Command\nshell: sh\nlimits: {limits}\nscript: |\n  {script}\n"
        ));
        let ran = server.post(&format!("/api/v2/jobs/{id}/run")).json();
        assert_eq!(ran["status"], "failed", "{ran}");
        let id = ran["execution_id"].as_str().unwrap();
        let run = server.get(&format!("/api/v2/executions/{id}")).json();
        let code = run["execution"]["error_code"].as_str().unwrap().to_owned();
        (code, ran["error"].as_str().unwrap().to_owned())
    };
    let hoard = "head -c 80000000 /dev/zero | tail -c 80000000 | sleep 60";
    let (code, error) = job("memory", "{memory: 30 MiB}", hoard);
    assert_eq!(code, "limit_process_memory");
    assert!(
        error.contains("of 30 MiB; `limits.memory` of the job changes it"),
        "{error}"
    );
    // What the admin allows is not widened.
    let (_, error) = job("wide", "{memory: 3 GiB}", &format!("{hoard} & {hoard}"));
    assert!(
        error.contains("of 100 MiB; `limits.processMemory` in the server's configuration"),
        "{error}"
    );
    let (code, error) = job("cpu", "{cpuTime: 1}", "while :; do :; done");
    assert_eq!(code, "limit_process_cpu_time");
    assert!(error.contains("`limits.cpuTime` of the job"), "{error}");
    let (code, _) = job(
        "many",
        "{processes: 5}",
        "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait",
    );
    assert_eq!(code, "limit_process_count");
    let files =
        "id: f\nname: F\ntype: Command\nshell: sh\nlimits: {openFiles: 50}\nscript: ulimit -n\n";
    server.create(files);
    let ran = server.post("/api/v2/jobs/f/run").json();
    assert_eq!(ran["output"], "50\n", "{ran}");
}

#[test]
fn a_run_says_what_its_whole_tree_cost() {
    for configuration in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder.path().join("data"), configuration);
        // Two hoards at once, and processor time in a session of its own.
        let script = "burn='i=0; while [ $i -lt 600000 ]; do i=$((i+1)); done'\n  \
            setsid sh -c \"$burn\" &\n  \
            head -c 60000000 /dev/zero | tail -c 60000000 | sleep 1 &\n  \
            head -c 60000000 /dev/zero | tail -c 60000000 | sleep 1 &\n  wait\n  cat | wc -c\n  \
            head -c 3000000 /dev/zero > big; sync big";
        server.create(&format!(
            "id: c\nname: C\ntype: Command\nshell: sh\nstdin: four\nscript: |\n  {script}\n"
        ));
        let ran = server.post("/api/v2/jobs/c/run").json();
        assert_eq!(ran["success"], true, "{ran}");
        let row = server.history("c")[0].clone();
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("cpu_time_seconds") > 0.2, "{row}");
        let memory = number("memory_usage_mb");
        assert!((100.0..250.0).contains(&memory), "{row}");
        assert!(number("process_count") >= 5.0, "{row}");
        assert_eq!(number("input_bytes"), 4.0, "{row}");
        assert!(number("disk_written_bytes") >= 3_000_000.0, "{row}");
    }
}

#[test]
fn a_flood_leaves_the_memory_of_the_server_flat() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder.path().join("data"), "");
    server.create("id: f\nname: F\ntype: Command\nshell: sh\nscript: yes | head -c 1000000000\n");
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.unwrap().split_whitespace().next().unwrap();
        kibibytes.parse::<u64>().unwrap() / 1024
    };
    let before = resident();
    let begun = Instant::now();
    let ran = server.post("/api/v2/jobs/f/run").json();
    let took = begun.elapsed();
    let after = resident();
    assert_eq!(ran["success"], true, "{ran}");
    println!(
        "a flood of 1 GB took {took:?}; memory of the server: {before} MiB, at most {after} MiB"
    );
    assert!(after < before + 24, "{before} MiB, then {after} MiB");
    let row = server.history("f")[0].clone();
    assert_eq!(row["output_bytes"], 1_000_000_000_u64);
    assert_eq!(row["output_dropped_bytes"], 1_000_000_000_u64 - (2 << 20));
}

/// Frozen in a cgroup of version 1, a process can't even be killed.
struct Freezer(PathBuf);

impl Drop for Freezer {
    fn drop(&mut self) {
        fs::write(self.0.join("freezer.state"), "THAWED").unwrap();
        eventually("an empty freezer", || fs::remove_dir(&self.0).ok());
    }
}

#[test]
fn what_can_not_be_killed_is_told_and_not_tried_again() {
    let place = PathBuf::from(format!(
        "/sys/fs/cgroup/freezer/jobcell-run-{}",
        std::process::id()
    ));
    if fs::create_dir(&place).is_err() {
        println!("left out: this machine has no freezer to hold a process that can't be killed");
        return;
    }
    let freezer = Freezer(place);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = server(&data, "limits: {stopGrace: 100ms}\n");
    let file = folder.path().join("pids");
    first.create(&format!(
        "id: k\nname: K\ntype: Command\nshell: sh\ntimeout: 1\nretryPolicy: {{maxRetries: 2, retryDelay: 0}}\n\
         concurrency: {{policy: allow}}\nscript: |\n  echo $$ >> {}\n  exec sleep 600\n",
        file.display()
    ));
    let id = start(&first, "k", 1).remove(0);
    let all = pids(&file, 1);
    fs::write(freezer.0.join("cgroup.procs"), &all[0]).unwrap();
    fs::write(freezer.0.join("freezer.state"), "FROZEN").unwrap();
    let run = ended(&first, &id);
    assert_eq!(run["status"], "failed", "{run}");
    assert_eq!(run["error_code"], "kill_unconfirmed", "{run}");
    let error = run["error_message"].as_str().unwrap();
    assert!(
        error.contains("time was over") && error.contains(&format!("{} (sleep)", all[0])),
        "{error}"
    );
    assert_eq!(
        first.history("k").len(),
        1,
        "there is no second one beside it"
    );
    // The same after a crash.
    fs::write(freezer.0.join("freezer.state"), "THAWED").unwrap();
    fs::remove_file(&file).unwrap();
    let id = start(&first, "k", 1).remove(0);
    let all = pids(&file, 1);
    fs::write(freezer.0.join("cgroup.procs"), &all[0]).unwrap();
    fs::write(freezer.0.join("freezer.state"), "FROZEN").unwrap();
    first.kill();
    let second = server(&data, "");
    let run = ended(&second, &id);
    assert_eq!(run["error_code"], "kill_unconfirmed", "{run}");
    let error = run["error_message"].as_str().unwrap();
    assert!(error.contains(&format!("{} (sleep)", all[0])), "{error}");
}
