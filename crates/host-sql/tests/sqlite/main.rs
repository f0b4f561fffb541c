//! What a run sees of a SQLite database, beneath the plugin interface.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod names;
mod results;
mod sharing;
mod support;
