//! A server that has no descriptor left. Its limit holds for the whole process,
//! so each of these facts is looked at in a process of its own.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use jobcell_plugin_host::Capability;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{Held, Run, runs};

const INSIDE: &str = "JOBCELL_TEST_INSIDE";

/// Whether this is the process of its own; else it was run to its end.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "{said}"
    );
    false
}

/// Takes all descriptors that there are.
fn take_all() -> Vec<File> {
    let limit = Rlimit {
        current: Some(256),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cgroup_is_killed_without_one() {
    if !inside("exhausted::a_cgroup_is_killed_without_one") {
        return;
    }
    let run = Run::new(Held::Best);
    if !run.capability.containment().starts_with("cgroups") {
        eprintln!("left out: this machine gives no cgroups");
        return;
    }
    let script = "setsid sleep 600 & echo $! >> PIDS; trap '' TERM; echo $$ >> PIDS; wait; wait";
    let (mut child, pids) = run.start_with_pids(script, 2).await;
    let all = take_all();
    child.kill().await;
    drop(all);
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
    let log = run.scope.output().take().0.text();
    assert!(!log.contains("still there"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_leaves_is_killed_without_one() {
    if !inside("exhausted::what_a_program_leaves_is_killed_without_one") {
        return;
    }
    let run = Run::new(Held::Best);
    if !run.capability.containment().starts_with("cgroups") {
        eprintln!("left out: this machine gives no cgroups");
        return;
    }
    let script = "setsid sh -c 'echo $$ >> PIDS; exec sleep 600' & \
                  while [ ! -s PIDS ]; do :; done; echo $$ >> PIDS; exec sleep 600";
    let (mut child, pids) = run.start_with_pids(script, 2).await;
    let all = take_all();
    let program = nix::unistd::Pid::from_raw(pids[1].parse().unwrap());
    nix::sys::signal::kill(program, nix::sys::signal::Signal::SIGTERM).unwrap();
    child.wait().await.unwrap();
    drop(all);
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_says_that_nothing_is_left_without_one() {
    if !inside("exhausted::nobody_says_that_nothing_is_left_without_one") {
        return;
    }
    for held in [Held::Best, Held::Shims] {
        let run = Run::new(held);
        let (child, pids) = run
            .start_with_pids("echo $$ > PIDS; exec sleep 600", 1)
            .await;
        let traces = run.traces();
        let all = take_all();
        let look = run.capability.end_leftovers(&run.execution, &traces);
        let looked = tokio::time::timeout(Duration::from_millis(300), look).await;
        drop(all);
        assert!(!matches!(looked, Ok(Ok(()))), "{held:?}: {looked:?}");
        assert!(runs(&pids[0]));
        drop(child);
    }
}
