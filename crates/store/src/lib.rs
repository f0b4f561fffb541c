//! Where jobs and their history live. The only crate that names redb.
//! Never decides what a run does; never prints.

pub mod error;
pub mod store;

pub use error::{
    AdmitError, CreateJobError, FinishError, OpenError, ReplaceJobError, StorageError,
};
pub use store::{CommitMetrics, Finish, Page, RunAdmission, Store};
