//! Runs that share a host: places are given back, waited for, and enough.

use std::time::{Duration, Instant};

use jobcell_plugin_host::{Allocation, HostConfig, Plugin, PluginHost, RunEnd, RunLimits};
use tokio::task::JoinSet;

use crate::support::{request, tight};

fn host(instances: u32) -> (PluginHost, Plugin) {
    let config = HostConfig {
        instances,
        ..HostConfig::default()
    };
    let host = PluginHost::new(config, Vec::new()).unwrap();
    let plugin = host
        .load("hostile", jobcell_bundle::hostile().component)
        .unwrap();
    (host, plugin)
}

/// An instance is given back after the report of its run. None are counted where the
/// system has no room for a pool.
async fn becomes_empty(host: &PluginHost) {
    eventually("all are given back", || {
        let spare = host.spare_instances();
        host.instances_in_use() == 0 && host.pooled_instances().is_none_or(|all| all == spare)
    })
    .await;
}

async fn eventually(what: &str, check: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < deadline, "waited until {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_misbehaving_runs_at_once_leave_no_instance_behind() {
    let (host, plugin) = host(100);
    let mut runs = JoinSet::new();
    for number in 0..60 {
        let deed = ["loop", "allocate", "trap", "recurse", "nothing", "exit"][number % 6];
        let plugin = plugin.clone();
        runs.spawn(async move { plugin.run(request(deed, tight())).await });
    }
    let mut succeeded = 0;
    while let Some(report) = runs.join_next().await {
        succeeded += usize::from(matches!(report.unwrap().end, RunEnd::Succeeded { .. }));
    }
    assert_eq!(succeeded, 10);
    becomes_empty(&host).await;
}

/// A place is given back only once its instance is gone, so that whoever waits
/// never finds the pool full.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_pool_makes_runs_wait_and_never_fail() {
    let (host, plugin) = host(2);
    let mut runs = JoinSet::new();
    for _ in 0..500 {
        let plugin = plugin.clone();
        runs.spawn(async move { plugin.run(request("nothing", tight())).await });
    }
    while let Some(report) = runs.join_next().await {
        let end = report.unwrap().end;
        assert!(matches!(end, RunEnd::Succeeded { .. }), "{end:?}");
    }
    becomes_empty(&host).await;
}

#[tokio::test]
async fn a_run_that_waits_for_a_place_can_be_stopped() {
    let (host, plugin) = host(1);
    let holder = request("sleep", tight());
    let end_of_holder = holder.cancel.clone();
    let holder = tokio::spawn({
        let plugin = plugin.clone();
        async move { plugin.run(holder).await }
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    while host.instances_in_use() == 0 {
        assert!(Instant::now() < deadline, "the first run does not begin");
        tokio::task::yield_now().await;
    }
    let mut late = request("nothing", tight());
    late.timeout = Duration::from_millis(50);
    assert_eq!(plugin.run(late).await.end, RunEnd::TimedOut);
    let cancelled = request("nothing", tight());
    cancelled.cancel.cancel();
    assert_eq!(plugin.run(cancelled).await.end, RunEnd::Cancelled);
    end_of_holder.cancel();
    assert_eq!(holder.await.unwrap().end, RunEnd::Cancelled);
    becomes_empty(&host).await;
}

#[tokio::test]
async fn a_run_that_is_dropped_gives_its_place_back() {
    let (host, plugin) = host(1);
    let run = plugin.run(request("sleep", RunLimits::default()));
    let dropped = tokio::time::timeout(Duration::from_millis(50), run).await;
    assert!(dropped.is_err(), "it ended by itself");
    becomes_empty(&host).await;
    let next = plugin.run(request("nothing", tight())).await;
    assert!(
        matches!(next.end, RunEnd::Succeeded { .. }),
        "{:?}",
        next.end
    );
}

#[tokio::test]
async fn every_run_has_an_instance_that_nobody_used_before() {
    let (host, plugin) = host(1);
    for _ in 0..3 {
        let report = plugin.run(request("count", tight())).await;
        assert_eq!(report.output.text(), "run 1");
    }
    becomes_empty(&host).await;
}

#[test]
fn instances_come_from_a_pool_where_the_system_has_room_for_one() {
    let (host, _) = host(10);
    assert_eq!(host.allocation(), Allocation::Pooling);
}

#[tokio::test]
async fn a_run_begins_with_an_instance_that_was_made_after_the_one_before() {
    let (host, plugin) = host(1);
    assert_eq!(host.spare_instances(), 0, "before anybody needs any");
    let report = plugin.run(request("count", tight())).await;
    assert_eq!(report.output.text(), "run 1");
    eventually("one is made", || host.spare_instances() == 1).await;
    let sleeper = request("sleep", tight());
    let cancel = sleeper.cancel.clone();
    let running = tokio::spawn({
        let plugin = plugin.clone();
        async move { plugin.run(sleeper).await }
    });
    eventually("it is in use", || host.spare_instances() == 0).await;
    cancel.cancel();
    running.await.unwrap();
    eventually("another one is made", || host.spare_instances() == 1).await;
    // More than it may have: as it would be without a spare one.
    let small = RunLimits {
        guest_memory: 64 << 10,
        ..tight()
    };
    let report = plugin.run(request("nothing", small)).await;
    assert_eq!(crate::support::failure(&report).0, "limit_guest_memory");
    drop(plugin);
    eventually("it goes with its plugin", || host.spare_instances() == 0).await;
}
