//! How processes end, and that all that descends from them ends as well.

use std::io::Write;
use std::time::{Duration, Instant};

use jobcell_host_process::{Exit, Sink};
use jobcell_model::OutputStream;
use jobcell_plugin_host::StopReason;
use jobcell_plugin_host::bindings::types::Failure;

use crate::support::{Held, PATIENCE, Run, eventually, in_both, runs, shell};

in_both! {
async fn kills_grandchildren_when_stopped(held: Held) {
    let run = Run::new(held);
    let scope = run.scope.clone();
    let script = "sleep 600 & echo $! >> PIDS; sh -c 'echo $$ >> PIDS; sleep 600' & wait";
    let (mut child, pids) = run.start_with_pids(script, 2).await;
    assert!(pids.iter().all(|pid| runs(pid)));
    scope.stop(StopReason::TimedOut);
    assert!(matches!(child.wait().await, Err(Failure::TimedOut)));
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
}

async fn kills_what_ignores_being_asked_after_the_grace(held: Held) {
    let run = Run::new(held);
    let scope = run.scope.clone();
    let script = "trap '' TERM; echo $$ >> PIDS; while :; do sleep 1; done";
    let (mut child, pids) = run.start_with_pids(script, 1).await;
    let before = Instant::now();
    scope.stop(StopReason::Cancelled);
    assert!(matches!(child.wait().await, Err(Failure::Cancelled)));
    let took = before.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < PATIENCE,
        "{took:?}"
    );
    assert!(!runs(&pids[0]));
}

async fn a_group_ends_with_its_main_process(held: Held) {
    let run = Run::new(held);
    let (mut child, pids) = run.start_with_pids("sleep 600 & echo $! >> PIDS", 1).await;
    let before = Instant::now();
    assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
    assert!(before.elapsed() < PATIENCE, "a pipe holder was waited for");
    assert!(!runs(&pids[0]));
}

async fn dropping_a_child_ends_its_group(held: Held) {
    let run = Run::new(held);
    let (child, pids) = run.start_with_pids("sleep 600 & echo $! >> PIDS; wait", 1).await;
    drop(child);
    eventually("the end", || !runs(&pids[0])).await;
}

async fn pieces_that_wait_to_be_read_do_not_hide_the_stop(held: Held) {
    let run = Run::new(held);
    let scope = run.scope.clone();
    let mut launch = shell("exec cat /dev/zero");
    launch.stdout = Sink::Tee;
    let mut child = run.start(&launch).await;
    // More than one piece can hold, so that at least one waits.
    let written = || scope.output().take().1.stdout_bytes;
    eventually("waiting pieces", || written() > 64 << 10).await;
    scope.stop(StopReason::TimedOut);
    let read = child.read(OutputStream::Stdout, 1 << 20).await;
    assert!(matches!(read, Err(Failure::TimedOut)), "{read:?}");
}

async fn a_descendant_may_tidy_up_after_its_leader_is_gone(held: Held) {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let run = Run::with(held, |limits| limits.stop_grace = PATIENCE);
    let scope = run.scope.clone();
    let script = format!(
        "sh -c 'trap \"sleep 0.3; echo x > {}; exit\" TERM; echo $$ >> PIDS; \
         while :; do sleep 0.05; done' & exec sleep 600",
        done.display()
    );
    let (mut child, pids) = run.start_with_pids(&script, 1).await;
    scope.stop(StopReason::Cancelled);
    let before = Instant::now();
    assert!(child.wait().await.is_err());
    assert!(done.exists(), "it was killed before it could tidy up");
    assert!(before.elapsed() < PATIENCE, "it was waited for too long");
    assert!(!runs(&pids[0]));
}

async fn a_second_kill_goes_on_with_the_grace_of_the_first(held: Held) {
    let run = Run::with(held, |limits| limits.stop_grace = Duration::from_secs(1));
    let script = "trap '' TERM; echo $$ >> PIDS; while :; do sleep 0.05; done";
    let (mut child, pids) = run.start_with_pids(script, 1).await;
    let before = Instant::now();
    let first = tokio::time::timeout(Duration::from_millis(700), child.kill()).await;
    assert!(first.is_err(), "it ended at once");
    child.kill().await;
    let took = before.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_millis(1700), "{took:?}: two periods");
    assert!(!runs(&pids[0]));
}

async fn two_hundred_with_three_descendants_each_leave_nothing_behind(held: Held) {
    let run = std::sync::Arc::new(Run::new(held));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!(
        "sleep 600 & echo $! >> {0}; setsid sleep 600 & echo $! >> {0}; \
         (setsid sleep 600 & echo $! >> {0}) & wait",
        file.display()
    );
    let mut children = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (run, launch) = (std::sync::Arc::clone(&run), shell(&script));
        children.spawn(async move { run.start(&launch).await.wait().await });
    }
    let mut pids = Vec::new();
    eventually("all processes", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        pids = text.lines().map(str::to_owned).collect();
        pids.len() == 600
    })
    .await;
    run.scope.stop(StopReason::Cancelled);
    while let Some(ended) = children.join_next().await {
        assert!(matches!(ended.unwrap(), Err(Failure::Cancelled)));
    }
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
    assert_eq!(run.cgroups(), 0);
}

/// A child that leaves its session, one whose parent is gone, and both at once.
async fn what_left_its_session_or_its_parent_ends_all_the_same(held: Held) {
    let run = Run::new(held);
    let script = "setsid sh -c 'echo $$ >> PIDS; exec sleep 600' & \
                  (sh -c 'echo $$ >> PIDS; exec sleep 600' &) ; \
                  (setsid sh -c '(echo $$ >> PIDS; exec sleep 600) & exec sleep 600' &) ; wait";
    let (mut child, pids) = run.start_with_pids(script, 3).await;
    assert!(pids.iter().all(|pid| runs(pid)));
    run.scope.stop(StopReason::Cancelled);
    assert!(matches!(child.wait().await, Err(Failure::Cancelled)));
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
}

async fn a_stray_that_holds_the_pipe_ends_with_the_program(held: Held) {
    let run = Run::new(held);
    let script = "setsid sh -c 'echo $$ >> PIDS; exec sleep 600' & while [ ! -s PIDS ]; do :; done; echo out";
    let (mut child, pids) = run.start_with_pids(script, 1).await;
    assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
    assert!(!runs(&pids[0]));
    let (output, _) = run.scope.output().take();
    assert_eq!(output.text(), "out\n");
    let log = output.text_of(|stream| stream == OutputStream::Log);
    assert_eq!(log, "", "nothing was lost");
}

async fn nothing_reads_the_output_of_a_process_whose_end_was_waited_for_twice(held: Held) {
    let run = Run::new(held);
    let (mut child, pids) = run.start_with_pids("echo $$ > PIDS; exec sleep 600", 1).await;
    // Somebody outside who holds its output open.
    let output = format!("/proc/{}/fd/1", pids[0].trim());
    let mut held_open = std::fs::OpenOptions::new().write(true).open(output).unwrap();
    let pid = nix::unistd::Pid::from_raw(pids[0].trim().parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let first = tokio::time::timeout(Duration::from_millis(500), child.wait()).await;
    assert!(first.is_err(), "nobody held it open");
    child.kill().await;
    drop(child);
    eventually("the end of the pipe", || held_open.write_all(b"x").is_err()).await;
}

async fn what_came_before_a_timeout_is_kept(held: Held) {
    let run = Run::new(held);
    let script = "echo first; echo problem >&2; echo $$ > PIDS; exec sleep 600";
    let (mut child, _) = run.start_with_pids(script, 1).await;
    run.scope.stop(StopReason::TimedOut);
    assert!(child.wait().await.is_err());
    let text = run.scope.output().take().0.text();
    assert!(text.contains("first\n") && text.contains("problem\n"), "{text}");
}

async fn a_child_that_closes_its_output_or_reads_for_ever_is_no_problem(held: Held) {
    let run = Run::new(held);
    let closed = shell("exec >&- 2>&-; sleep 0.1; exit 7");
    assert_eq!(run.output(&closed).await.0, Exit::Code(7));
    // Its input is empty, not a terminal and not the server's.
    assert_eq!(run.output(&shell("cat; exit 8")).await.0, Exit::Code(8));
    let mut fed = shell("cat > /dev/null; exec sleep 600");
    fed.stdin = vec![b'x'; 1 << 20];
    let mut child = run.start(&fed).await;
    run.scope.stop(StopReason::Cancelled);
    assert!(matches!(child.wait().await, Err(Failure::Cancelled)));
}
}

/// Where the kernel bounds by controllers, each process has a new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_cgroup_that_is_empty_holds_the_next_process_and_none_is_left_in_the_end() {
    let run = Run::new(Held::Best);
    let by_looking = run.capability.containment().contains("no controllers");
    run.output(&shell("exit 0")).await;
    let first = run.cgroup_folders();
    run.another().output(&shell("exit 0")).await;
    assert_eq!(run.cgroup_folders(), first);
    assert_eq!(first.len(), usize::from(by_looking));
    // What had to be killed is not used again.
    run.output(&shell("(setsid sleep 600 &); exit 0")).await;
    assert!(!first.iter().any(|folder| folder.exists()));
    run.output(&shell("exit 0")).await;
    let last = run.cgroup_folders();
    assert_eq!(last.len(), first.len());
    drop(run);
    assert!(!last.iter().any(|folder| folder.exists()));
}
