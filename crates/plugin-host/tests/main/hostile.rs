//! Each way to misbehave ends as a failure with a name, and harms nobody else.

use jobcell_model::StepStatus;
use jobcell_plugin_host::{RunEnd, RunLimits};

use crate::support::{HOST, failure, hostile, request, run, tight};

/// Asserts that a deed ends with this code and names this setting, while a
/// neighbour's run succeeds.
async fn ends_as(deed: &str, code: &str, words: &[&str]) {
    let (report, neighbour) = tokio::join!(run(deed), run("nothing"));
    let (found, message) = failure(&report);
    assert_eq!(found, code, "{deed}: {message}");
    for word in words {
        assert!(
            message.contains(word),
            "{deed}: `{word}` is not in: {message}"
        );
    }
    assert!(
        matches!(neighbour.end, RunEnd::Succeeded { .. }),
        "{:?}",
        neighbour.end
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_ends_by_the_limit_of_computing_time() {
    ends_as(
        "loop",
        "limit_compute_time",
        &["compute_time", "0.3 s", "limits.computeTime"],
    )
    .await;
}

#[tokio::test]
async fn a_loop_does_not_hold_up_a_neighbour_on_the_same_thread() {
    ends_as("loop", "limit_compute_time", &[]).await;
}

#[tokio::test]
async fn a_recursion_ends_by_the_limit_of_the_stack() {
    ends_as("recurse", "limit_stack", &["stack", "512 KiB"]).await;
}

#[tokio::test]
async fn a_recursion_with_large_frames_is_explained() {
    ends_as("deep-frames", "trap", &["out of bounds", "recursion"]).await;
}

#[tokio::test]
async fn a_memory_bomb_ends_by_the_limit_of_memory() {
    ends_as(
        "allocate",
        "limit_guest_memory",
        &["guest_memory", "16 MiB", "limits.guestMemory"],
    )
    .await;
}

#[tokio::test]
async fn a_trap_is_named() {
    ends_as("trap", "trap", &["unreachable"]).await;
}

#[tokio::test]
async fn a_panic_leaves_its_words_in_the_output() {
    let report = run("panic").await;
    assert_eq!(failure(&report).0, "trap");
    assert!(
        report.output.text().contains("on purpose"),
        "{}",
        report.output.text()
    );
}

#[tokio::test]
async fn a_plugin_that_exits_is_named() {
    ends_as("exit", "plugin_exit", &["code"]).await;
}

#[tokio::test]
async fn a_flood_of_host_calls_ends_by_its_limit() {
    ends_as(
        "host-call-flood",
        "limit_host_calls",
        &["20000 calls", "limits.hostCalls"],
    )
    .await;
}

#[tokio::test]
async fn a_flood_of_steps_ends_by_its_limit() {
    ends_as("step-flood", "limit_steps", &["50 steps", "limits.steps"]).await;
}

#[tokio::test]
async fn leaked_handles_end_by_a_limit() {
    let report = run("handle-leak").await;
    assert_eq!(failure(&report).0, "limit_steps");
    assert_eq!(report.steps.len(), 50);
    assert!(
        report
            .steps
            .iter()
            .all(|step| step.status == StepStatus::Failed)
    );
}

#[tokio::test]
async fn details_that_are_no_json_are_refused() {
    ends_as("bad-details", "misuse", &["JSON"]).await;
}

#[tokio::test]
async fn a_step_left_open_is_recorded_as_failed() {
    let report = run("step-leak").await;
    assert!(matches!(report.end, RunEnd::Succeeded { .. }));
    assert_eq!(report.steps.len(), 1);
    assert_eq!(report.steps[0].status, StepStatus::Failed);
}

#[tokio::test]
async fn floods_of_output_and_log_keep_head_and_tail() {
    let limits = RunLimits {
        output_head: 1 << 16,
        output_tail: 1 << 16,
        ..RunLimits::default()
    };
    for deed in ["output-flood", "log-flood", "long-log-line"] {
        let report = hostile().run(request(deed, limits.clone())).await;
        assert!(
            matches!(report.end, RunEnd::Succeeded { .. }),
            "{deed}: {:?}",
            report.end
        );
        let kept: usize = report
            .output
            .chunks
            .iter()
            .map(|chunk| chunk.bytes.len())
            .sum();
        assert!(kept <= 1 << 17, "{deed} kept {kept} bytes");
        assert!(kept > 1 << 13, "{deed} kept {kept} bytes");
    }
}

#[tokio::test]
async fn a_plugin_sees_nothing_of_the_machine() {
    let report = run("print").await;
    let seen = report.output.text();
    assert_eq!(
        seen, "environment []\narguments []\nroot false\nfile false\n",
        "{:?}",
        report.end
    );
}

#[tokio::test]
async fn a_loop_in_validate_ends() {
    let plugin = hostile();
    let answer = plugin.validate("{\"do\": \"loop-in-validate\"}").await;
    assert_eq!(answer.unwrap_err().code, "limit_compute_time");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_misbehaving_runs_at_once_leave_no_instance_behind() {
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..60 {
        let deed = ["loop", "allocate", "trap", "recurse", "nothing", "exit"][number % 6];
        runs.spawn(async move { hostile().run(request(deed, tight())).await });
    }
    let mut succeeded = 0;
    while let Some(report) = runs.join_next().await {
        succeeded += usize::from(matches!(report.unwrap().end, RunEnd::Succeeded { .. }));
    }
    assert_eq!(succeeded, 10);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while HOST.instances_in_use() > 0 {
        // Other tests of this process use the same host.
        assert!(std::time::Instant::now() < deadline, "instances are left");
        tokio::task::yield_now().await;
    }
}
