//! What can go wrong in each operation of the engine.

use jobcell_model::{ExecutionId, JobId, JobRef, Problem};
use jobcell_store::StorageError;

/// A job can't be created or changed.
#[derive(Debug, thiserror::Error)]
pub enum SaveJobError {
    /// Its YAML, or what came with it, has errors.
    #[error("the job has {} that must be put right", count(.0.len()))]
    Invalid(Vec<Problem>),
    /// Another job has its `id`.
    #[error("a job with the id `{key}` exists already ({job_id})")]
    KeyTaken {
        /// The `id`.
        key: String,
        /// Whose it is.
        job_id: JobId,
    },
    /// There is no such job.
    #[error("there is no job `{0}`")]
    NotFound(JobRef),
    /// Somebody else changed it at the same time.
    #[error(
        "the job was changed at the same time; it is at revision {revision} now: read it and try again"
    )]
    Changed {
        /// Its revision now.
        revision: u64,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn count(problems: usize) -> String {
    if problems == 1 {
        "1 error".to_owned()
    } else {
        format!("{problems} errors")
    }
}

/// A job can't be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteJobError {
    /// There is no such job.
    #[error("there is no job `{0}`")]
    NotFound(JobRef),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A run can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no such job.
    #[error("there is no job `{0}`")]
    NotFound(JobRef),
    /// It is disabled.
    #[error("the job `{key}` is disabled; enable it to run it")]
    Disabled {
        /// Its `id`.
        key: String,
    },
    /// As many runs of it as its `concurrency` allows are going on.
    #[error(
        "the job `{key}` can't start: the execution {execution_id} is going on, and its `concurrency.limit` allows no more"
    )]
    Busy {
        /// Its `id`.
        key: String,
        /// The oldest of the runs in its way.
        execution_id: ExecutionId,
    },
    /// As many runs of its type go on as the server allows.
    #[error("as many jobs of the type `{job_type}` are running as the server allows; try again")]
    TypeBusy {
        /// The type.
        job_type: String,
    },
    /// What is stored is no longer a valid job, for instance because its job
    /// type is not installed any more.
    #[error("the stored job `{key}` is not valid any more")]
    Invalid {
        /// Its `id`.
        key: String,
        /// Why.
        problems: Vec<Problem>,
    },
    /// The server is shutting down.
    #[error("the server is shutting down and starts no more runs")]
    ShuttingDown,
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A run can't be cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// It is not going on here.
    #[error("the run {0} is not going on")]
    NotRunning(ExecutionId),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A run ended, but its end could not be recorded. It will be closed as
/// interrupted when the server starts again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the end of the run {execution_id} could not be recorded: {reason}")]
pub struct RunLost {
    /// Which.
    pub execution_id: ExecutionId,
    /// Why.
    pub reason: String,
}
