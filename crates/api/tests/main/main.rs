//! The API over a real engine: the SQL plugin, a store in memory, a database
//! in a temporary folder. Most tests call the router; `serving` uses sockets.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by a panic"
)]

mod access;
mod executions;
mod history;
mod import;
mod jobs;
mod malformed;
mod runs;
mod serving;
mod stream;
mod support;
