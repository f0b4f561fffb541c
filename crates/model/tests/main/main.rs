//! What a job may say, and what is answered to one that says it wrong. Never
//! runs a job.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod calendars;
mod catching_up;
mod clock_changes;
mod cronsim;
mod hostile;
mod keys;
mod links;
mod odd_zones;
mod oracle;
mod outlook;
mod places;
mod planning;
mod random;
mod refusals;
mod schedules;
mod schema;
mod support;
mod types;
