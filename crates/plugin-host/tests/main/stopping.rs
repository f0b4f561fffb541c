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

#[tokio::test]
async fn a_sleeping_plugin_is_cancelled() {
    let request = request("sleep", tight());
    request.cancel.cancel();
    let (report, took) = timed(request).await;
    assert_eq!(report.end, RunEnd::Cancelled);
    assert!(took < SOON, "{took:?}");
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
async fn a_plugin_that_heeds_a_cancel_may_still_succeed() {
    let request = request("wait-for-cancel", generous());
    let cancel = request.cancel.clone();
    let canceller = async {
        tokio::task::yield_now().await;
        cancel.cancel();
    };
    let ((report, _), ()) = tokio::join!(timed(request), canceller);
    assert!(
        matches!(report.end, RunEnd::Succeeded { .. }),
        "{:?}",
        report.end
    );
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
