//! Runs that are told to stop: they do, in bounded time, with the true reason.

use std::time::{Duration, Instant};

use jobcell_plugin_host::{RunEnd, RunLimits, RunReport, RunRequest};

use crate::support::{hostile, request, tight};

const SOON: Duration = Duration::from_secs(10);

async fn timed(request: RunRequest) -> (RunReport, Duration) {
    let start = Instant::now();
    let report = hostile().run(request).await;
    (report, start.elapsed())
}

fn generous() -> RunLimits {
    RunLimits {
        compute_time: Duration::from_secs(60),
        host_calls: u64::MAX,
        ..tight()
    }
}

/// Cancels a run while it goes on.
async fn cancelled_in_mid_run(deed: &str, limits: RunLimits) -> (RunReport, Duration) {
    let request = request(deed, limits);
    let cancel = request.cancel.clone();
    let canceller = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        cancel.cancel();
    };
    tokio::join!(timed(request), canceller).0
}

#[tokio::test]
async fn a_sleeping_plugin_is_cancelled() {
    let (report, took) = cancelled_in_mid_run("sleep", generous()).await;
    assert_eq!(report.end, RunEnd::Cancelled);
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_it_begins_does_nothing() {
    let request = request("step-leak", tight());
    request.cancel.cancel();
    let (report, _) = timed(request).await;
    assert_eq!(report.end, RunEnd::Cancelled);
    assert_eq!(report.steps, []);
}

#[tokio::test]
async fn sleeping_is_not_computing() {
    let mut request = request("sleep", tight());
    request.timeout = Duration::from_secs(1);
    let (report, _) = timed(request).await;
    assert_eq!(report.end, RunEnd::TimedOut);
    assert!(
        report.cost.cpu_time < Duration::from_millis(500),
        "{:?}",
        report.cost
    );
}

#[tokio::test]
async fn a_plugin_that_ignores_a_stop_is_ended() {
    for deed in ["ignore-cancel", "loop"] {
        let mut request = request(deed, generous());
        request.timeout = Duration::from_millis(100);
        let (report, took) = timed(request).await;
        assert_eq!(report.end, RunEnd::TimedOut, "{deed}");
        assert!(took < SOON, "{deed}: {took:?}");
    }
}

#[tokio::test]
async fn a_run_that_was_told_of_its_cancel_is_cancelled() {
    let (report, _) = cancelled_in_mid_run("wait-for-cancel", generous()).await;
    assert_eq!(report.end, RunEnd::Cancelled);
}

#[tokio::test]
async fn a_stop_that_nothing_noticed_takes_no_success_away() {
    let limits = RunLimits {
        stop_grace: Duration::from_secs(5),
        ..generous()
    };
    let (report, _) = cancelled_in_mid_run("busy", limits).await;
    let end = RunEnd::Succeeded { return_code: None };
    assert_eq!(report.end, end);
}

#[tokio::test]
async fn a_timeout_of_a_century_does_no_harm() {
    let mut request = request("nothing", tight());
    request.timeout = Duration::MAX;
    let (report, _) = timed(request).await;
    assert!(
        matches!(report.end, RunEnd::Succeeded { .. }),
        "{:?}",
        report.end
    );
}
