//! Black-box tests: each starts the real binary and looks at what a person or
//! a client would see. What can be shown at a lower border is tested there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
#![expect(
    clippy::print_stdout,
    reason = "what was left out or measured is to be seen"
)]

mod harness;

mod artifacts;
mod command_line;
mod commands;
mod commit_points;
mod connections;
mod containment;
mod crash;
mod databases;
mod malformed;
mod migrate;
mod migrate_server;
mod processes;
mod rest;
mod samples;
mod schedule;
mod seed_guide;
mod shutdown;
mod sql;
mod sqlserver;
mod storage;
mod stream;
mod tidy;
