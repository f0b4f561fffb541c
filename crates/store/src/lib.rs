//! Where jobs and their history live. The only crate that names redb.
//! Never decides what a run does; never prints.
//!
//! In reading order: `store` and `error` are the contract, `redb_store` carries
//! it out. Writes go through `writer`, one thread that lets many of them share
//! a commit; `jobs` and `runs` hold what is written and read; `tables`,
//! `codec`, `rows` and `output` say how it lies on disk; `medium` and `slot`
//! open the file and open it again after a failure.

// The builders that the tests share name this crate as everybody else does.
#[cfg(test)]
extern crate self as jobcell_store;

mod artifacts;
mod codec;
mod connections;
mod due;
pub mod error;
mod failure;
mod format;
mod import;
mod jobs;
mod medium;
mod output;
mod pending;
mod places;
mod redb_store;
mod rows;
mod runs;
mod slot;
pub mod store;
mod tables;
#[cfg(test)]
mod tests;
mod ties;
mod traces;
mod verify;
mod writer;

pub use error::{
    AdmitError, ClaimError, CreateJobError, FinishError, ImportError, OpenError,
    PutConnectionError, ReplaceJobError, StartError, StorageError,
};
pub use import::{Fed, Import, Imported, ImportedJob, ImportedRun};
pub use redb_store::{RedbStore, StoreOptions};
pub use store::{
    CommitMetrics, DueFiring, Finish, FiringClaim, Follower, JobTriggers, NewRun, NewRuns, Page,
    PlannedFiring, Room, RunAdmission, Store, WhenFull,
};
