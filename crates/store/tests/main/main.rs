//! The store through its trait: in memory where the fact is about rows, in a
//! file where it is about the file. Failing disks and power cuts are tested
//! inside the crate, where the medium can be replaced.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by a panic"
)]

mod connections;
mod damage;
mod files;
mod format;
mod import;
mod jobs;
mod output;
mod paging;
mod runs;
mod support;
mod ties;
mod waiting;
