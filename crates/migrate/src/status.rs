//! V1's words for how a run stands, in any casing. Never guesses at others.

use jobcell_model::RunState;

/// What a word of V1 means, and what to say of it where V2 has no such word.
pub(crate) fn read(word: &str) -> Option<(RunState, Option<&'static str>)> {
    let state = match word.trim().to_ascii_lowercase().as_str() {
        "success" | "completed" => (RunState::Success, None),
        "failed" | "failure" | "error" => (RunState::Failed, None),
        "timeout" => (RunState::Timeout, None),
        "cancelled" | "canceled" => (RunState::Cancelled, None),
        "skipped" => (RunState::Skipped, None),
        "partial_success" => (RunState::Failed, Some("some of its steps failed")),
        // V1 said that it would try again, and never did.
        "retry" => (RunState::Failed, Some("V1 meant to try it again")),
        "pending" | "queued" | "assigned" => (RunState::Interrupted, Some("V1 never started it")),
        "running" => (
            RunState::Interrupted,
            Some("V1 never recorded how it ended"),
        ),
        _ => return None,
    };
    Some(state)
}
