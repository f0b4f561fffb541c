//! Real processes: their output, their end, their bounds, and that nothing
//! outlives a run.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(
    clippy::print_stderr,
    reason = "what was left out or measured is to be seen"
)]

mod bounds;
mod ending;
mod exhausted;
mod leftovers;
mod streams;
mod support;
