//! Each way to misbehave ends as a failure with a name, and harms nobody else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jobcell_model::{OutputStream, StepResult, StepStatus};
use jobcell_plugin_host::{RunEnd, RunLimits, RunObserver};

use crate::support::{failure, hostile, request, run, tight};

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
        if deed == "long-log-line" {
            // The line, and a word that it was cut.
            assert!(kept <= (16 << 10) + 64, "{deed} kept {kept} bytes");
        }
    }
}

#[tokio::test]
async fn a_plugin_sees_nothing_of_the_machine() {
    let report = run("print").await;
    let seen = report.output.text();
    assert_eq!(
        seen, "environment []\narguments []\nroot false\nfile false\nwrite false\n",
        "{:?}",
        report.end
    );
}

#[tokio::test]
async fn standard_input_is_empty() {
    let report = run("read-stdin").await;
    let end = RunEnd::Succeeded { return_code: None };
    assert_eq!(report.end, end);
}

#[tokio::test]
async fn a_loop_in_validate_ends() {
    let answer = hostile().validate("{\"do\": \"loop-in-validate\"}").await;
    let failure = answer.unwrap_err();
    assert_eq!(failure.code, "limit_compute_time");
    assert!(failure.message.contains("did not answer"), "{failure:?}");
}

#[tokio::test]
async fn what_a_plugin_says_of_a_failure_is_kept() {
    ends_as("fail", "on_purpose", &["it failed on purpose"]).await;
}

#[tokio::test]
async fn odd_words_of_a_plugin_are_tamed() {
    let report = run("fail-oddly").await;
    let (code, message) = failure(&report);
    assert_eq!(code, "plugin_failure");
    assert!(
        message.starts_with("first second \\u{1b}[2Jxx"),
        "{message:.60}"
    );
    assert!(message.len() < 10_000, "{} bytes", message.len());
}

#[tokio::test]
async fn a_return_code_is_kept_with_its_reason() {
    let report = run("return-code").await;
    let RunEnd::Failed {
        return_code,
        failure,
    } = report.end
    else {
        panic!("it did not fail: {:?}", report.end);
    };
    assert_eq!(return_code, Some(3));
    assert_eq!(failure.code, "job_failed");
    assert!(failure.message.contains("code 3"), "{}", failure.message);
}

#[tokio::test]
async fn nobody_is_cancelled_by_a_plugin() {
    ends_as("claim-cancelled", "plugin_failure", &["nobody stopped it"]).await;
}

#[tokio::test]
async fn one_call_passes_so_many_bytes_and_no_more() {
    let limits = RunLimits {
        guest_memory: 256 << 20,
        ..RunLimits::default()
    };
    let report = hostile().run(request("big-call", limits)).await;
    let (code, message) = failure(&report);
    assert_eq!(code, "limit_host_call_bytes", "{message}");
    assert!(message.contains("64 MiB"), "{message}");
}

#[tokio::test]
async fn more_memory_than_by_default_can_be_allowed() {
    let limits = RunLimits {
        guest_memory: 128 << 20,
        ..RunLimits::default()
    };
    let report = hostile().run(request("allocate", limits)).await;
    assert!(failure(&report).1.contains("128 MiB"), "{:?}", report.end);
    assert!(report.cost.peak_memory > 100 << 20, "{:?}", report.cost);
}

#[tokio::test]
async fn handles_are_bounded() {
    let limits = RunLimits {
        steps: 100_000,
        ..RunLimits::default()
    };
    let report = hostile().run(request("handle-leak", limits)).await;
    let (code, message) = failure(&report);
    assert_eq!(code, "limit_handles", "{message}");
}

#[tokio::test]
async fn details_of_steps_are_bounded_in_sum() {
    let report = hostile()
        .run(request("details-flood", RunLimits::default()))
        .await;
    let (code, message) = failure(&report);
    assert_eq!(code, "limit_step_details_in_sum", "{message}");
    assert!(message.contains("`limits.stepDetails`"), "{message}");
}

#[tokio::test]
async fn tiny_writes_by_turns_keep_few_pieces() {
    let limits = RunLimits {
        output_head: 1 << 16,
        output_tail: 1 << 16,
        compute_time: Duration::from_secs(60),
        ..RunLimits::default()
    };
    let report = hostile().run(request("tiny-writes", limits)).await;
    let end = RunEnd::Succeeded { return_code: None };
    assert_eq!(report.end, end);
    let pieces = report.output.chunks.len();
    assert!(pieces <= 2 << 12, "{pieces} pieces");
}

#[tokio::test]
async fn steps_left_open_are_shown_to_the_observer() {
    #[derive(Default)]
    struct Names(Mutex<Vec<String>>);
    impl RunObserver for Names {
        fn output(&self, _: OutputStream, _: &[u8]) {}
        fn step(&self, step: &StepResult) {
            self.0.lock().unwrap().push(step.name.clone());
        }
    }
    let names = Arc::new(Names::default());
    let mut request = request("step-leak", tight());
    request.observer = Some(Arc::clone(&names) as Arc<dyn RunObserver>);
    hostile().run(request).await;
    assert_eq!(*names.0.lock().unwrap(), ["left open"]);
}
