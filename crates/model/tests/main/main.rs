//! What a job may say, and what is answered to one that says it wrong. Never
//! runs a job.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod hostile;
mod keys;
mod places;
mod refusals;
mod schedules;
mod schema;
mod support;
mod types;
