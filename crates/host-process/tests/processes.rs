//! Real processes: their output, their end, and that nothing outlives a run.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use jobcell_host_process::{Child, Exit, Launch, Sink};
use jobcell_model::OutputStream;
use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope, StopReason};

const PATIENCE: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        working_directory: "/".into(),
        stdin: Vec::new(),
        stdout: Sink::Output,
        stderr: Sink::Output,
    }
}

fn scope() -> RunScope {
    let limits = RunLimits {
        stop_grace: Duration::from_millis(300),
        ..RunLimits::default()
    };
    RunScope::new(
        Vec::new(),
        limits,
        Duration::from_secs(60),
        EffectGate::open(),
        None,
    )
}

async fn run(launch: &Launch) -> (Exit, String) {
    let scope = scope();
    let exit = Child::start(launch, &scope)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    (exit, scope.output().take().0.text())
}

async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < deadline, "waited for {what}");
        tokio::task::yield_now().await;
    }
}

/// Whether a process runs; a zombie does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Starts a script that writes process ids into a file, and reads them. The
/// file stays until the test ends: a script may still look for it.
async fn start_with_pids(script: &str, count: usize, scope: &RunScope) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = script.replace("PIDS", file.to_str().unwrap());
    let child = Child::start(&shell(&script), scope).await.unwrap();
    let mut pids = Vec::new();
    eventually("process ids", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        pids = text.lines().map(str::to_owned).collect();
        pids.len() == count
    })
    .await;
    Started {
        child,
        pids,
        _folder: folder,
    }
}

struct Started {
    child: Child,
    pids: Vec<String>,
    _folder: tempfile::TempDir,
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    assert_eq!(run(&shell("exit 0")).await.0, Exit::Code(0));
    assert_eq!(run(&shell("exit 3")).await.0, Exit::Code(3));
    assert_eq!(run(&shell("kill -9 $$")).await.0, Exit::Signal(9));
}

#[tokio::test]
async fn both_streams_are_kept_and_input_is_delivered() {
    let mut launch = shell("cat; echo out; echo err >&2");
    launch.stdin = "ä in\n".into();
    let scope = scope();
    Child::start(&launch, &scope)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    let (output, summary) = scope.output().take();
    assert_eq!(
        output.text_of(|stream| stream == OutputStream::Stdout),
        "ä in\nout\n"
    );
    assert_eq!(
        output.text_of(|stream| stream == OutputStream::Stderr),
        "err\n"
    );
    assert_eq!((summary.stdout_bytes, summary.stderr_bytes), (10, 4));
}

#[tokio::test]
async fn input_that_nobody_reads_holds_nothing_up() {
    let mut launch = shell("exit 0");
    launch.stdin = vec![b'x'; 4 << 20];
    assert_eq!(run(&launch).await.0, Exit::Code(0));
}

#[tokio::test]
async fn the_environment_holds_only_what_was_granted() {
    let mut launch = shell("/usr/bin/env");
    launch.program = "/usr/bin/env".into();
    launch.arguments.clear();
    launch.environment = vec![("A".into(), "b c".into())];
    assert_eq!(run(&launch).await.1, "A=b c\n");
}

#[tokio::test]
async fn a_plugin_reads_what_is_piped_in_pieces_of_its_size() {
    let mut launch = shell("printf 12345; echo e >&2");
    launch.stdout = Sink::Pipe;
    launch.stderr = Sink::Tee;
    let scope = scope();
    let mut child = Child::start(&launch, &scope).await.unwrap();
    let mut read = Vec::new();
    while let Some(piece) = child.read(OutputStream::Stdout, 2).await.unwrap() {
        assert!(piece.len() <= 2);
        read.extend(piece);
    }
    assert_eq!(read, b"12345");
    assert_eq!(
        child
            .read(OutputStream::Stderr, 100)
            .await
            .unwrap()
            .unwrap(),
        b"e\n"
    );
    child.wait().await.unwrap();
    assert_eq!(scope.output().take().0.text(), "e\n");
}

#[tokio::test]
async fn a_piped_stream_that_nobody_reads_holds_nothing_up() {
    let mut launch = shell("head -c 5000000 /dev/zero");
    launch.stdout = Sink::Pipe;
    assert_eq!(run(&launch).await.0, Exit::Code(0));
}

#[tokio::test]
async fn kills_grandchildren_when_stopped() {
    let scope = scope();
    let script = "sleep 600 & echo $! >> PIDS; sh -c 'echo $$ >> PIDS; sleep 600' & wait";
    let Started {
        mut child,
        pids,
        _folder,
    } = start_with_pids(script, 2, &scope).await;
    assert!(pids.iter().all(|pid| runs(pid)));
    scope.stop(StopReason::TimedOut);
    assert!(matches!(child.wait().await, Err(Failure::TimedOut)));
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
}

#[tokio::test]
async fn kills_what_ignores_being_asked_after_the_grace() {
    let scope = scope();
    let script = "trap '' TERM; echo $$ >> PIDS; while :; do sleep 1; done";
    let Started {
        mut child,
        pids,
        _folder,
    } = start_with_pids(script, 1, &scope).await;
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

#[tokio::test]
async fn a_group_ends_with_its_main_process() {
    let scope = scope();
    let Started {
        mut child,
        pids,
        _folder,
    } = start_with_pids("sleep 600 & echo $! >> PIDS", 1, &scope).await;
    let before = Instant::now();
    assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
    assert!(before.elapsed() < PATIENCE, "a pipe holder was waited for");
    assert!(!runs(&pids[0]));
}

#[tokio::test]
async fn a_process_that_left_the_group_and_holds_the_pipe_is_not_waited_for() {
    let scope = scope();
    let script = "setsid sh -c 'echo $$ >> PIDS; exec sleep 30' & while [ ! -s PIDS ]; do :; done";
    let Started {
        mut child,
        pids,
        _folder,
    } = start_with_pids(script, 1, &scope).await;
    let before = Instant::now();
    assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
    assert!(before.elapsed() < PATIENCE);
    let log = scope
        .output()
        .take()
        .0
        .text_of(|stream| stream == OutputStream::Log);
    assert!(log.contains("holds its output open"), "{log}");
    let pid = nix::unistd::Pid::from_raw(pids[0].trim().parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_flood_is_bounded_in_memory() {
    let scope = scope();
    let mut child = Child::start(&shell("head -c 200000000 /dev/zero"), &scope)
        .await
        .unwrap();
    child.wait().await.unwrap();
    let (output, summary) = scope.output().take();
    let kept: usize = output.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    assert_eq!(kept, 2 << 20);
    assert_eq!(summary.dropped_bytes, 200_000_000 - (2 << 20));
}

#[tokio::test]
async fn dropping_a_child_ends_its_group() {
    let scope = scope();
    let Started {
        child,
        pids,
        _folder,
    } = start_with_pids("sleep 600 & echo $! >> PIDS; wait", 1, &scope).await;
    drop(child);
    eventually("the end", || !runs(&pids[0])).await;
}

#[tokio::test]
async fn nothing_starts_before_the_start_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acted");
    let (opener, gate) = EffectGate::closed();
    let scope = RunScope::new(
        Vec::new(),
        RunLimits::default(),
        Duration::from_secs(60),
        gate,
        None,
    );
    let launch = shell(&format!("echo x > {}", file.display()));
    let mut starting = Box::pin(Child::start(&launch, &scope));
    for _ in 0..100 {
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(starting.as_mut().poll(context).is_pending())
        });
        assert!(polled.await);
        tokio::task::yield_now().await;
    }
    assert!(!file.exists());
    opener.settle(true);
    starting.await.unwrap().wait().await.unwrap();
    assert!(file.exists());
}

#[tokio::test]
async fn what_can_not_be_started_says_why() {
    let reason = |launch: Launch| async move {
        match Child::start(&launch, &scope()).await.err().unwrap() {
            Failure::Other(detail) | Failure::NotFound(detail) | Failure::Invalid(detail) => {
                detail.message
            }
            other => panic!("{other:?}"),
        }
    };
    let mut missing = shell("");
    missing.program = "/nowhere/tool".into();
    assert!(reason(missing).await.contains("/nowhere/tool"));
    let mut folder = shell("");
    folder.working_directory = "/nowhere".into();
    assert!(reason(folder).await.contains("/nowhere"));
    let mut nul = shell("");
    nul.arguments.push("a\0b".into());
    assert!(reason(nul).await.contains("NUL"));
    let mut variable = shell("");
    variable.environment.push(("A=B".into(), "c".into()));
    assert!(reason(variable).await.contains("A=B"));
}

#[tokio::test]
async fn reading_ends_although_an_escaped_process_goes_on_writing() {
    let scope = scope();
    let mut launch = shell(
        "setsid sh -c 'while :; do echo $$; sleep 0.2; done' & \
         head -c 3 /dev/zero; while sleep 0.1; do exit 4; done",
    );
    launch.stdout = Sink::Tee;
    let mut child = Child::start(&launch, &scope).await.unwrap();
    let before = Instant::now();
    let mut read = Vec::new();
    while let Some(piece) = child.read(OutputStream::Stdout, 100).await.unwrap() {
        read.extend(piece);
        assert!(before.elapsed() < PATIENCE, "it reads for ever");
    }
    assert_eq!(child.wait().await.unwrap(), Exit::Code(4));
    let text = String::from_utf8(read).unwrap();
    let pid = text.lines().next_back().unwrap().parse().unwrap();
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_slow_plugin_loses_nothing_of_a_process_that_ended() {
    let mut launch = shell("head -c 300000 /dev/zero");
    launch.stdout = Sink::Pipe;
    let scope = scope();
    let mut child = Child::start(&launch, &scope).await.unwrap();
    let mut length = 0;
    while let Some(piece) = child.read(OutputStream::Stdout, 1000).await.unwrap() {
        length += piece.len();
    }
    assert_eq!(length, 300_000);
}

#[tokio::test]
async fn pieces_that_wait_to_be_read_do_not_hide_the_stop() {
    let scope = scope();
    let mut launch = shell("exec cat /dev/zero");
    launch.stdout = Sink::Tee;
    let mut child = Child::start(&launch, &scope).await.unwrap();
    // More than one piece can hold, so that at least one waits.
    let written = || scope.output().take().1.stdout_bytes;
    eventually("waiting pieces", || written() > 64 << 10).await;
    scope.stop(StopReason::TimedOut);
    let read = child.read(OutputStream::Stdout, 1 << 20).await;
    assert!(matches!(read, Err(Failure::TimedOut)), "{read:?}");
}

#[tokio::test]
async fn a_descendant_may_tidy_up_after_its_leader_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let limits = RunLimits {
        stop_grace: PATIENCE,
        ..RunLimits::default()
    };
    let timeout = Duration::from_secs(60);
    let scope = RunScope::new(Vec::new(), limits, timeout, EffectGate::open(), None);
    let script = format!(
        "sh -c 'trap \"sleep 0.3; echo x > {}; exit\" TERM; echo $$ >> PIDS; \
         while :; do sleep 0.05; done' & exec sleep 600",
        done.display()
    );
    let Started {
        mut child,
        pids,
        _folder,
    } = start_with_pids(&script, 1, &scope).await;
    scope.stop(StopReason::Cancelled);
    let before = Instant::now();
    assert!(child.wait().await.is_err());
    assert!(done.exists(), "it was killed before it could tidy up");
    assert!(before.elapsed() < PATIENCE, "it was waited for too long");
    assert!(!runs(&pids[0]));
}

#[tokio::test]
async fn a_second_kill_goes_on_with_the_grace_of_the_first() {
    let limits = RunLimits {
        stop_grace: Duration::from_secs(1),
        ..RunLimits::default()
    };
    let timeout = Duration::from_secs(60);
    let scope = RunScope::new(Vec::new(), limits, timeout, EffectGate::open(), None);
    let script = "trap '' TERM; echo $$ >> PIDS; while :; do sleep 0.05; done";
    let Started {
        mut child,
        pids,
        _folder,
    } = start_with_pids(script, 1, &scope).await;
    let before = Instant::now();
    let first = tokio::time::timeout(Duration::from_millis(700), child.kill()).await;
    assert!(first.is_err(), "it ended at once");
    child.kill().await;
    let took = before.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_millis(1700), "{took:?}: two periods");
    assert!(!runs(&pids[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_leave_nothing_behind() {
    let scope = scope();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!(
        "for i in 1 2 3; do sleep 600 & echo $! >> {}; done; wait",
        file.display()
    );
    let mut children = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (scope, launch) = (scope.clone(), shell(&script));
        children.spawn(async move { Child::start(&launch, &scope).await.unwrap().wait().await });
    }
    let mut pids = Vec::new();
    eventually("all processes", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        pids = text.lines().map(str::to_owned).collect();
        pids.len() == 150
    })
    .await;
    scope.stop(StopReason::Cancelled);
    while let Some(ended) = children.join_next().await {
        assert!(matches!(ended.unwrap(), Err(Failure::Cancelled)));
    }
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
}
