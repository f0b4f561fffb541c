//! The Store trait: all that the engine and the API ask of storage.
//! Outside this crate nothing assumes redb or a single process, so claiming,
//! admitting and finishing are each one atomic operation here.
//!
//! A write that returned `Ok` is durable: it survives `kill -9` and power loss.

use async_trait::async_trait;
use jobcell_model::{Execution, ExecutionId, JobId, JobRecord, JobRef, RunOutput, StoredJob};

use crate::error::{AdmitError, CreateJobError, FinishError, ReplaceJobError, StorageError};

/// Part of a list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Whether there are more after them; the last row's id leads there.
    pub more: bool,
}

/// A run that asks to start.
#[derive(Debug, Clone)]
pub struct RunAdmission {
    /// Its row, in the state `running`.
    pub execution: Execution,
    /// How many runs of the job may go on at once; none for any number.
    pub limit: Option<u32>,
}

/// A run that ended.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Its row, in a final state.
    pub execution: Execution,
    /// What it wrote.
    pub output: RunOutput,
}

/// How writes shared commits, since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitMetrics {
    /// Durable commits, each one fsync.
    pub commits: u64,
    /// Writes carried by them.
    pub writes: u64,
    /// The most writes in one commit.
    pub largest: u64,
}

/// Durable storage of jobs and runs.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Adds a job whose `key` is new.
    async fn create_job(&self, job: JobRecord) -> Result<(), CreateJobError>;

    /// Replaces a job that is still at `expected_revision`.
    async fn replace_job(
        &self,
        job: JobRecord,
        expected_revision: u64,
    ) -> Result<(), ReplaceJobError>;

    /// Removes a job; its history stays. False where there was none.
    async fn delete_job(&self, job_id: JobId) -> Result<bool, StorageError>;

    /// One job. Text that is a UUID is looked up as one, then as a key.
    async fn job(&self, job: &JobRef) -> Result<Option<StoredJob>, StorageError>;

    /// Jobs by age, newest first.
    async fn jobs(
        &self,
        after: Option<JobId>,
        limit: usize,
        enabled_only: bool,
    ) -> Result<Page<StoredJob>, StorageError>;

    /// How many jobs there are: all, and the enabled ones.
    async fn job_counts(&self) -> Result<(u64, u64), StorageError>;

    /// Records a run as started: checks that the job exists at the run's
    /// revision and that its limit allows one more, all in one step.
    async fn admit_run(&self, run: RunAdmission) -> Result<(), AdmitError>;

    /// Records a run as ended, with its output and the job's figures.
    async fn finish_run(&self, run: Finish) -> Result<(), FinishError>;

    /// One run.
    async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StorageError>;

    /// What a run wrote; none while it runs.
    async fn output(&self, id: ExecutionId) -> Result<Option<RunOutput>, StorageError>;

    /// Runs of one job, newest first, also of one that was deleted.
    async fn history(
        &self,
        job_id: JobId,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Page<Execution>, StorageError>;

    /// Runs that have started and not ended, oldest first.
    async fn open_executions(&self) -> Result<Vec<Execution>, StorageError>;

    /// How writes have shared commits.
    fn commit_metrics(&self) -> CommitMetrics;

    /// Ends the writer after what was given to it; later writes fail.
    async fn close(&self);
}
