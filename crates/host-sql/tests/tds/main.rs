//! What is said to a SQL Server, told to a small server of the tests that
//! speaks the protocol (MS-TDS) from its own reading of the specification, and
//! that a client of other people understands.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod results;
mod secure;
mod server;
mod sessions;
mod support;
mod tokens;
mod types;
