//! What can go wrong in each operation of a store. Texts leave out the source.

use jobcell_model::{ExecutionId, JobId};

/// The storage itself failed: a disk, a file, a format.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The disk has no room left.
    #[error("the disk that holds the store is full")]
    Full,
    /// The store was closed, or its writer ended.
    #[error("the store is closed")]
    Closed,
    /// What is stored can't be read by this version.
    #[error("a stored {what} can't be read: {reason}")]
    Corrupt {
        /// The kind of row.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Anything else that the database reports.
    #[error("the database failed in {operation}")]
    Database {
        /// What was being done.
        operation: &'static str,
        /// What the database says.
        #[source]
        source: std::sync::Arc<dyn std::error::Error + Send + Sync>,
    },
}

/// A store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store {path} is in use by another process")]
    InUse {
        /// The file.
        path: String,
    },
    /// It was written by a later version.
    #[error("the store {path} has format {found}; this version reads up to {supported}")]
    NewerFormat {
        /// The file.
        path: String,
        /// Its format.
        found: u32,
        /// The latest one known here.
        supported: u32,
    },
    /// It is no store, or damaged.
    #[error("the store {path} can't be opened")]
    Unreadable {
        /// The file.
        path: String,
        /// What the database says.
        #[source]
        source: std::sync::Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A job can't be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateJobError {
    /// Another job has its `id`.
    #[error("a job with the id `{key}` exists already ({job_id})")]
    KeyTaken {
        /// The `id`.
        key: String,
        /// Whose it is.
        job_id: JobId,
    },
    /// It would start after itself, by way of other jobs.
    #[error("the job would start after itself: {}", keys.join(", then "))]
    Cycle {
        /// The `id`s from it to the job that it is to start after.
        keys: Vec<String>,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A job can't be replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceJobError {
    /// There is none.
    #[error("there is no job {job_id}")]
    NotFound {
        /// Which.
        job_id: JobId,
    },
    /// Somebody else changed it since it was read.
    #[error("the job was changed by somebody else; it is at revision {revision} now")]
    Changed {
        /// Its revision now.
        revision: u64,
    },
    /// Another job has its new `id`.
    #[error("a job with the id `{key}` exists already ({job_id})")]
    KeyTaken {
        /// The `id`.
        key: String,
        /// Whose it is.
        job_id: JobId,
    },
    /// It would start after itself, by way of other jobs.
    #[error("the job would start after itself: {}", keys.join(", then "))]
    Cycle {
        /// The `id`s from it to the job that it is to start after.
        keys: Vec<String>,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A connection can't be stored.
#[derive(Debug, thiserror::Error)]
pub enum PutConnectionError {
    /// Another one has its name.
    #[error("a connection with the name `{name}` exists already")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is none to replace.
    #[error("there is no connection `{name}`")]
    NotFound {
        /// The name.
        name: String,
    },
    /// Somebody else changed it since it was read.
    #[error("the connection was changed by somebody else; it is at revision {revision} now")]
    Changed {
        /// Its revision now.
        revision: u64,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A run can't be admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The job is gone.
    #[error("there is no job {job_id}")]
    NotFound {
        /// Which.
        job_id: JobId,
    },
    /// The job was changed since it was read; read it again.
    #[error("the job was changed; it is at revision {revision} now")]
    Changed {
        /// Its revision now.
        revision: u64,
    },
    /// As many runs of it as its `concurrency` allows are going on.
    #[error("the job is running already ({execution_id})")]
    Busy {
        /// The oldest of them.
        execution_id: ExecutionId,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A firing can't be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The job is gone, was changed, or its firing was claimed already: look
    /// again at what is due.
    #[error("the job {job_id} has no such firing any more")]
    Lost {
        /// Which.
        job_id: JobId,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A run that waits can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It does not wait: it was never recorded, or has started or ended.
    #[error("the run {execution_id} does not wait to be started")]
    NotPending {
        /// Which.
        execution_id: ExecutionId,
    },
    /// The job was changed or deleted since it was read; read it again.
    #[error("the job of the run {execution_id} was changed")]
    Changed {
        /// The run.
        execution_id: ExecutionId,
    },
    /// As many runs of its job as may are going on.
    #[error("the job is running already ({execution_id})")]
    Busy {
        /// The oldest of them.
        execution_id: ExecutionId,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A run can't be finished.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// It was never admitted, or is finished already.
    #[error("the run {execution_id} is not going on")]
    NotOpen {
        /// Which.
        execution_id: ExecutionId,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Jobs and runs can't be taken over. Nothing of them was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A connection can't be added.
    #[error("a connection can't be added")]
    Connection(#[source] PutConnectionError),
    /// One of the jobs can't be added.
    #[error("a job can't be taken over")]
    Job(#[source] CreateJobError),
    /// A run goes on or waits: only what ended can be taken over.
    #[error("the run {execution_id} has not ended")]
    NotEnded {
        /// Which.
        execution_id: ExecutionId,
    },
    /// Whoever brought the runs went away before the last one.
    #[error("the runs broke off before the last one")]
    Unfinished,
    /// Another write failed and undid this one; it may be tried again.
    #[error("another write failed beside it")]
    Disturbed,
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
