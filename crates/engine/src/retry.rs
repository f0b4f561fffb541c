//! Whether a run that did not succeed is tried again, and when. Never records
//! or starts anything.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_model::{
    Backoff, Execution, ExecutionId, JobSpec, OnInterrupted, OutputSummary, ProcessFacts,
    RetryPolicy, RunState, Trigger,
};

use jobcell_plugin_host::codes;

/// The longest pause between two attempts, unless the job says otherwise.
const LONGEST_DELAY: Duration = Duration::from_secs(86_400);
/// How often a run is tried again that the server's own end cut short, where
/// `onInterrupted: retry` asks for it and no `retryPolicy` allows more: a job
/// that brings the server down must not do so for ever.
const AFTER_CRASHES: u32 = 3;

/// The row of the next attempt; none when there is to be none.
pub(crate) fn next_attempt(
    ended: &Execution,
    spec: &JobSpec,
    now: DateTime<Utc>,
) -> Option<Execution> {
    if ended.error_code.as_deref() == Some(codes::KILL_UNCONFIRMED) {
        // Two of them side by side is what nobody asked for.
        return None;
    }
    let policy = spec.retry_policy.as_ref();
    let delay = match policy {
        Some(policy) if wanted(ended, policy) && ended.retry_count < policy.max_retries => {
            delay(ended, policy)
        }
        _ if again_after_crash(ended, spec) => Duration::ZERO,
        _ => return None,
    };
    let not_before = TimeDelta::from_std(delay)
        .ok()
        .and_then(|delay| now.checked_add_signed(delay))?;
    Some(Execution {
        execution_id: ExecutionId::generate(),
        status: RunState::Pending,
        trigger: Trigger::Retry,
        start_time: now,
        end_time: None,
        duration_seconds: None,
        error_message: None,
        error_code: None,
        return_code: None,
        step_results: Vec::new(),
        memory_usage_mb: None,
        cpu_time_seconds: None,
        retry_count: ended.retry_count + 1,
        is_retry: true,
        parent_execution_id: ended.parent_execution_id.or(Some(ended.execution_id)),
        not_before: Some(not_before),
        blocked_by: None,
        output: OutputSummary::default(),
        processes: ProcessFacts::default(),
        ..ended.clone()
    })
}

fn wanted(ended: &Execution, policy: &RetryPolicy) -> bool {
    let named = |word: &str| policy.retry_on.iter().any(|named| named == word);
    match ended.status {
        RunState::Failed | RunState::Timeout if policy.retry_on.is_empty() => true,
        RunState::Failed | RunState::Timeout | RunState::Interrupted => {
            named(ended.status.as_str()) || ended.error_code.as_deref().is_some_and(named)
        }
        // Who cancelled it wants it ended.
        RunState::Cancelled
        | RunState::Success
        | RunState::Skipped
        | RunState::Pending
        | RunState::Running => false,
    }
}

fn again_after_crash(ended: &Execution, spec: &JobSpec) -> bool {
    let most = spec.max_retries().max(AFTER_CRASHES);
    ended.status == RunState::Interrupted
        && spec.on_interrupted == OnInterrupted::Retry
        && ended.retry_count < most
}

fn delay(ended: &Execution, policy: &RetryPolicy) -> Duration {
    let grown = match policy.backoff {
        Backoff::Fixed => policy.retry_delay,
        Backoff::Exponential => {
            let factor = 1_u32.checked_shl(ended.retry_count).unwrap_or(u32::MAX);
            policy.retry_delay.saturating_mul(factor)
        }
    };
    grown
        .min(policy.max_delay.unwrap_or(LONGEST_DELAY))
        .saturating_add(by_chance(ended.execution_id, policy.jitter))
}

/// A length of time from zero up to the jitter. The id has chance enough, so
/// nothing else has to be asked for it.
fn by_chance(id: ExecutionId, jitter: Duration) -> Duration {
    let mut low = [0; 4];
    low.copy_from_slice(&id.as_bytes()[12..]);
    jitter.mul_f64(f64::from(u32::from_be_bytes(low)) / f64::from(u32::MAX))
}
