//! What processes may use together, and what they used.

use std::time::{Duration, Instant};

use jobcell_host_process::{Child, Exit};
use jobcell_plugin_host::bindings::types::{Failure, LimitReached};
use jobcell_plugin_host::{Bound, RunLimits};

use crate::support::{Held, PATIENCE, Run, in_both, runs, shell};

/// Runs a script into one of its bounds.
async fn into_bound(
    held: Held,
    script: &str,
    limit: impl FnOnce(&mut RunLimits),
) -> (LimitReached, Run) {
    let run = Run::with(held, limit);
    let before = Instant::now();
    let ended = run.start(&shell(script)).await.wait().await;
    assert!(before.elapsed() < PATIENCE, "it was not seen in time");
    match ended {
        Err(Failure::Limit(reached)) => (reached, run),
        other => panic!("{other:?}"),
    }
}

fn of_job<T>(value: T) -> Bound<T> {
    Bound {
        value,
        by_job: true,
    }
}

in_both! {
async fn a_fork_bomb_ends_at_the_cap_on_processes(held: Held) {
    // What makes whoever looks wait does so now and then only.
    for _ in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pids");
        let bomb = format!("b() {{ echo $$ >> {}; sh -c 'exec sleep 600' & b | b & }}; b; wait", file.display());
        let (reached, run) = into_bound(held, &bomb, |limits| limits.process_tree = of_job(40)).await;
        assert_eq!(reached.limit, "process.count");
        assert_eq!(reached.value, "40 processes at a time");
        assert_eq!(reached.setting, "job.limits.processes");
        let pids = std::fs::read_to_string(&file).unwrap();
        let went_off = pids.lines().count();
        eprintln!("the bomb went off {went_off} times");
        // On a machine with nothing else to do it is some dozens.
        assert!(went_off < 5000, "it got away: {went_off} times");
        assert!(!pids.lines().any(runs), "{pids}");
        assert_eq!(run.cgroups(), 0);
    }
}

async fn memory_is_bounded_for_the_whole_tree(held: Held) {
    // Neither of them alone has as much.
    let hoard = "head -c 40000000 /dev/zero | tail -c 40000000 | sleep 600";
    let script = format!("{hoard} & {hoard} & wait");
    let limit = |limits: &mut RunLimits| {
        limits.process_memory = Some(Bound::of_admin(60 << 20));
    };
    let (reached, _run) = into_bound(held, &script, limit).await;
    assert_eq!(reached.limit, "process.memory");
    assert_eq!(reached.value, "60 MiB");
    assert_eq!(reached.setting, "limits.processMemory");
}

async fn processor_time_is_bounded_for_the_whole_tree(held: Held) {
    let burn = "sh -c 'while :; do :; done'";
    let script = format!("{burn} & setsid {burn} & wait");
    let limit = |limits: &mut RunLimits| {
        limits.process_cpu_time = Some(of_job(Duration::from_millis(300)));
    };
    let (reached, _run) = into_bound(held, &script, limit).await;
    assert_eq!(reached.value, "0.3 s");
    assert_eq!(reached.setting, "job.limits.cpuTime");
}

async fn processor_time_is_bounded_over_children_that_live_for_a_moment(held: Held) {
    // None of them has as much, nor who waits for them.
    let child = "sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done'";
    let script = format!("n=0; while [ $n -lt 150 ]; do {child}; n=$((n+1)); done; echo to the end");
    let limit = |limits: &mut RunLimits| {
        limits.process_cpu_time = Some(of_job(Duration::from_millis(500)));
    };
    let (reached, run) = into_bound(held, &script, limit).await;
    assert_eq!(reached.value, "0.5 s");
    assert_eq!(run.scope.output().take().0.text(), "");
}

async fn nothing_starts_in_a_run_that_has_passed_a_bound(held: Held) {
    let limit = |limits: &mut RunLimits| limits.process_tree = of_job(2);
    let (_, run) = into_bound(held, "sleep 60 & sleep 60 & sleep 60 & wait", limit).await;
    let refused = Child::start(&shell("echo x"), &run.place).await.err();
    match refused {
        Some(Failure::Limit(reached)) => assert_eq!(reached.limit, "process.count"),
        other => panic!("{other:?}"),
    }
}

async fn open_files_are_bounded_for_each_process(held: Held) {
    let run = Run::with(held, |limits| limits.open_files = Some(of_job(77)));
    let (exit, said) = run.output(&shell("ulimit -n; sh -c 'ulimit -Hn'")).await;
    assert_eq!((exit, said.as_str()), (Exit::Code(0), "77\n77\n"));
}

async fn a_process_within_its_bounds_is_left_alone(held: Held) {
    let run = Run::with(held, |limits| {
        limits.process_tree = of_job(3);
        limits.process_memory = Some(of_job(200 << 20));
        limits.process_cpu_time = Some(of_job(Duration::from_secs(60)));
    });
    let (exit, said) = run.output(&shell("sleep 0.3 & sleep 0.3; wait; echo done")).await;
    assert_eq!((exit, said.as_str()), (Exit::Code(0), "done\n"));
}
}
