//! What a crash leaves, and what can't be ended.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jobcell_host_process::Child;
use jobcell_model::OutputStream;
use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{Capability, EffectGate, Journal, RunLimits, RunScope, StopReason};

use crate::support::{Held, Run, eventually, in_both, runs, shell};

in_both! {
async fn what_a_crash_leaves_is_found_by_its_trace_and_ended(held: Held) {
    let run = Run::new(held);
    let script = "echo $$ >> PIDS; setsid sh -c 'echo $$ >> PIDS; exec sleep 600' & \
                  (setsid sh -c 'echo $$ >> PIDS; trap \"\" TERM; while :; do sleep 1; done' &); wait";
    let (child, pids) = run.start_with_pids(script, 3).await;
    let traces = run.traces();
    assert!(!traces.is_empty());
    // Whoever comes after the crash knows the execution and its traces alone.
    let after = run.capability.end_leftovers(&run.execution, &traces).await;
    assert_eq!(after, Ok(()));
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
    drop(child);
    // A second look finds nothing, and harms nobody.
    let again = run.capability.end_leftovers(&run.execution, &traces).await;
    assert_eq!(again, Ok(()));
}

async fn traces_of_others_and_nonsense_lead_nowhere(held: Held) {
    let run = Run::new(held);
    let (mut child, pids) = run.start_with_pids("echo $$ > PIDS; exec sleep 600", 1).await;
    let own = std::process::id();
    let strange = [
        format!("process:{own} 1 another-boot"),
        format!("process:{} 1 {}", pids[0], std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim()),
        "cgroup:/".to_owned(),
        "cgroup:/nowhere/x".to_owned(),
        "process:".to_owned(),
        "job-object:x".to_owned(),
        String::new(),
    ];
    let ended = run.capability.end_leftovers("another", &strange).await;
    assert_eq!(ended, Ok(()));
    assert!(runs(&pids[0]), "it is not theirs");
    run.scope.stop(StopReason::Cancelled);
    assert!(child.wait().await.is_err());
}
}

/// The shim is this server's own, so only somebody who kills on purpose gets
/// here: what it held is still found by what it was given.
#[tokio::test(flavor = "multi_thread")]
async fn what_lost_its_shim_is_found_by_its_environment() {
    let run = Run::new(Held::Shims);
    let mut launch = shell("(setsid sleep 600 &) ; echo $$; exec sleep 600");
    let mark = ("JOBCELL_EXECUTION_ID".into(), run.execution.clone().into());
    launch.environment.push(mark);
    let mut child = run.start(&launch).await;
    eventually("its words", || run.scope.output().take().1.stdout_bytes > 0).await;
    let traces = run.traces();
    let shim = traces[0].strip_prefix("process:").unwrap();
    let shim: i32 = shim.split(' ').next().unwrap().parse().unwrap();
    let pid = nix::unistd::Pid::from_raw(shim);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    child.wait().await.unwrap();
    let log = run.scope.output().take().0;
    let log = log.text_of(|stream| stream == OutputStream::Log);
    assert!(log.contains("its shim was killed"), "{log}");
    let ended = run.capability.end_leftovers(&run.execution, &traces).await;
    assert_eq!(ended, Ok(()));
    let marked = format!("JOBCELL_EXECUTION_ID={}", run.execution);
    let left = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|process| {
            let given = std::fs::read(process.path().join("environ")).unwrap_or_default();
            given
                .split(|&byte| byte == 0)
                .any(|one| one == marked.as_bytes())
        });
    assert!(!left);
}

/// The end of the program alone says nothing of what it started.
#[tokio::test(flavor = "multi_thread")]
async fn a_shim_that_is_killed_after_the_program_has_ended_is_no_success() {
    let run = Run::new(Held::Shims);
    let script = "(setsid sh -c 'echo $$ >> PIDS; exec sleep 600' &) ; \
                  while [ ! -s PIDS ]; do :; done; echo $$ >> PIDS; exit 0";
    let (mut child, pids) = run.start_with_pids(script, 2).await;
    eventually("the end of the program", || !runs(&pids[1])).await;
    let traces = run.traces();
    let shim = traces[0].strip_prefix("process:").unwrap();
    let shim: i32 = shim.split(' ').next().unwrap().parse().unwrap();
    let pid = nix::unistd::Pid::from_raw(shim);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually("the end of its shim", || !runs(&shim.to_string())).await;
    child.wait().await.unwrap();
    let log = run.scope.output().take().0;
    let log = log.text_of(|stream| stream == OutputStream::Log);
    assert!(log.contains("its shim was killed"), "{log}");
    assert!(runs(&pids[0]), "what it started is what nobody knows of");
    let pid = nix::unistd::Pid::from_raw(pids[0].parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// Who stops its own shim gains nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_shim_that_was_stopped_ends_with_what_it_holds() {
    let run = Run::new(Held::Shims);
    let script = "kill -STOP $PPID; echo $$ >> PIDS; exec sleep 600";
    let (mut child, pids) = run.start_with_pids(script, 1).await;
    run.scope.stop(StopReason::Cancelled);
    assert!(child.wait().await.is_err());
    assert!(!runs(&pids[0]));
    let log = run.scope.output().take().0;
    let log = log.text_of(|stream| stream == OutputStream::Log);
    assert!(!log.contains("still there"), "{log}");
}

/// The folder of this test's cgroups; none where the machine has none.
fn cgroups(run: &Run) -> Option<PathBuf> {
    let said = run.capability.containment();
    let folder = said.strip_prefix("cgroups below ");
    if folder.is_none() {
        eprintln!("left out: this machine gives no cgroups ({said})");
    }
    Some(folder?.split(" (").next()?.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_server_that_is_gone_end_when_another_one_starts() {
    let run = Run::new(Held::Best);
    let Some(folder) = cgroups(&run) else { return };
    // No process has ever had this start.
    let left = folder.join(format!("0192-other.0@{}-1", std::process::id()));
    std::fs::create_dir(&left).unwrap();
    let mut sleeper = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    std::fs::write(left.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
    let (mut own, pids) = run
        .start_with_pids("echo $$ > PIDS; exec sleep 600", 1)
        .await;
    eventually("the end of what was left", || {
        run.capability.clean_leftovers();
        sleeper.try_wait().unwrap().is_some() && !left.exists()
    })
    .await;
    assert!(runs(&pids[0]), "what goes on here is no leftover");
    own.kill().await;
}

/// Until version 0.1 a cgroup had its run's name.
#[tokio::test(flavor = "multi_thread")]
async fn cgroups_of_earlier_versions_are_found_by_their_traces() {
    let run = Run::new(Held::Best);
    let Some(folder) = cgroups(&run) else { return };
    let left = folder.join(format!("0192-other.0@{}-1", std::process::id()));
    let mut sleeper = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = sleeper.id().to_string();
    // Whoever tidies up beside us takes it for one that a crash left.
    eventually("a cgroup of a server that is gone", || {
        std::fs::create_dir(&left).ok();
        std::fs::write(left.join("cgroup.procs"), &pid).is_ok()
    })
    .await;
    let trace = [format!("cgroup:{}", folder.join("0192-other").display())];
    let ended = run.capability.end_leftovers("0192-other", &trace);
    // Our own child is a zombie until we take note, and its cgroup empty.
    assert_eq!(ended.await, Ok(()));
    assert!(!sleeper.wait().unwrap().success());
    assert!(!left.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_leads_to_its_run_alone_also_where_its_cgroup_was_anothers() {
    let run = Run::new(Held::Best);
    if cgroups(&run).is_none() {
        return;
    }
    let script = "echo $$ > PIDS; exec sleep 600";
    run.output(&shell("exit 0")).await;
    let was_its_own = run.cgroup_folders();
    let other = run.another();
    let (mut second, second_pids) = other.start_with_pids(script, 1).await;
    if run.capability.containment().contains("no controllers") {
        assert_eq!(run.cgroup_folders(), was_its_own);
    }
    let (mut first, first_pids) = run.start_with_pids(script, 1).await;
    let traces = run.traces();
    let ended = run.capability.end_leftovers(&run.execution, &traces);
    assert_eq!(ended.await, Ok(()));
    assert!(!runs(&first_pids[0]) && runs(&second_pids[0]));
    first.kill().await;
    second.kill().await;
}

/// Frozen in a cgroup of version 1, a process can't even be killed.
struct Freezer(PathBuf);

impl Freezer {
    fn freeze(pid: &str) -> Option<Self> {
        let root = PathBuf::from("/sys/fs/cgroup/freezer");
        let folder = root.join(format!("jobcell-test-{}", std::process::id()));
        if std::fs::create_dir(&folder).is_err() {
            eprintln!(
                "left out: this machine has no freezer to hold a process that can't be killed"
            );
            return None;
        }
        std::fs::write(folder.join("cgroup.procs"), pid.trim()).unwrap();
        std::fs::write(folder.join("freezer.state"), "FROZEN").unwrap();
        Some(Self(folder))
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        std::fs::write(self.0.join("freezer.state"), "THAWED").unwrap();
        while std::fs::remove_dir(&self.0).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

in_both! {
async fn what_can_not_be_killed_is_named(held: Held) {
    let run = Run::new(held);
    let (mut child, pids) = run.start_with_pids("echo $$ > PIDS; exec sleep 600", 1).await;
    let Some(freezer) = Freezer::freeze(&pids[0]) else { return };
    run.scope.stop(StopReason::Cancelled);
    assert!(child.wait().await.is_err());
    let log = run.scope.output().take().0;
    let log = log.text_of(|stream| stream == OutputStream::Log);
    let named = format!("still there after it was killed: {} (sleep)", pids[0].trim());
    assert!(log.contains(&named), "{log}");
    drop(freezer);
    eventually("its end", || !runs(&pids[0])).await;
}
}

/// Writes nothing down.
struct Broken;

#[async_trait::async_trait]
impl Journal for Broken {
    async fn add(&self, _trace: String) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_shim_nothing_runs_before_it_is_written_down() {
    let run = Run::new(Held::Shims);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acted");
    let scope = RunScope::new(
        Vec::new(),
        RunLimits::default(),
        Duration::from_secs(60),
        EffectGate::open(),
        None,
    )
    .with_journal(Some(Arc::new(Broken)));
    let launch = shell(&format!("echo x > {}", file.display()));
    let refused = Child::start(&launch, &run.capability.place(&scope)).await;
    match refused.err().unwrap() {
        Failure::Other(detail) => assert_eq!(detail.code, "start_not_recorded"),
        other => panic!("{other:?}"),
    }
    assert!(!file.exists(), "its shim has ended by now");
}
