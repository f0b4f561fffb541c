//! Tests that replace the medium: power cuts, failing and full disks, a writer
//! that is held in a commit. Everything else is tested through the trait, in
//! `tests/main`.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by a panic"
)]

mod disk;
mod failing;
mod power;
mod room;
mod script;
mod sharing;
#[path = "../tests/main/support.rs"]
mod support;
