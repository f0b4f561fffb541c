//! V1's rows become V2's jobs: every shape that V1 had, the instants that its
//! users meant, and nothing lost on the way. Never touches a database.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod golden;
mod history;
mod instants;
mod random;
mod reported;
mod support;
