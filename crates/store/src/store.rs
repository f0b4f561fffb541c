//! The Store trait: all that the engine and the API ask of storage.
//! Outside this crate nothing assumes redb or a single process, so claiming,
//! admitting and finishing are each one atomic operation here.
//!
//! A write that returned `Ok` is durable: it survives `kill -9` and power loss.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jobcell_model::{
    After, AfterOutcome, Artifact, ArtifactInfo, ConnectionRecord, Execution, ExecutionId, JobId,
    JobRecord, JobRef, RunOutput, StoredJob,
};

use crate::error::{
    AdmitError, ClaimError, CreateJobError, FinishError, ImportError, PutConnectionError,
    ReplaceJobError, StartError, StorageError,
};
use crate::import::{Import, Imported};

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
    /// How many runs of the job, or of its `concurrency_key`, may go on at once;
    /// none for any number.
    pub limit: Option<u32>,
}

/// What makes a job start by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobTriggers {
    /// The next instant of its schedule.
    pub next: Option<PlannedFiring>,
    /// The jobs after whose runs it starts; none leaves them as they are.
    pub after: Option<Vec<After>>,
}

/// A job that starts after another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follower {
    /// Which.
    pub job_id: JobId,
    /// After which ends.
    pub on: AfterOutcome,
}

/// A run that is to wait, or the row of one that is skipped.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its row. One that is `pending` may become `skipped`.
    pub execution: Execution,
    /// What is asked of the runs beside it; nothing lets it wait in any case.
    pub room: Option<Room>,
}

/// What a run that is to wait asks of those with which it shares a limit: the
/// ones with its `concurrency_key`, or of its job where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// How many may go on and wait at once.
    pub limit: u32,
    /// What becomes of one too many.
    pub when_full: WhenFull,
}

/// A run that ended.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Its row, in a final state.
    pub execution: Execution,
    /// What it wrote.
    pub output: RunOutput,
    /// The files that it left.
    pub artifacts: Arc<Vec<Artifact>>,
    /// Runs that wait because of its end: a retry, or those of other jobs;
    /// recorded with it.
    pub then: Vec<NewRun>,
}

/// An instant of a job's schedule. Kept in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedFiring {
    /// The instant that it stands for, which is what it is known by.
    pub nominal: DateTime<Utc>,
    /// When it is to fire: later than that by the job's jitter.
    pub due: DateTime<Utc>,
}

/// A firing whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueFiring {
    /// Whose.
    pub job_id: JobId,
    /// Which.
    pub planned: PlannedFiring,
}

/// What becomes of a firing whose job has as many runs as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It is skipped.
    Skip,
    /// It waits, unless so many wait already.
    Queue {
        /// How many may wait.
        max: u32,
    },
    /// It takes the place of the others.
    Replace,
}

/// Claims what is due of one job.
#[derive(Debug, Clone)]
pub struct FiringClaim {
    /// Whose.
    pub job_id: JobId,
    /// The revision of the job that the runs were made from.
    pub revision: u64,
    /// The firing that was found due.
    pub planned: PlannedFiring,
    /// What it becomes, oldest first: runs that wait, and rows of such as are
    /// skipped. One whose instant was fired before is left out.
    pub runs: Vec<NewRun>,
    /// The next instant of the job's schedule.
    pub next: Option<PlannedFiring>,
}

/// What became of new runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewRuns {
    /// Runs that wait to be started.
    pub pending: Vec<Execution>,
    /// Runs that were recorded as skipped.
    pub skipped: Vec<Execution>,
    /// Runs that are to make room, with the one that each is to make it for.
    pub replaced: Vec<(ExecutionId, ExecutionId)>,
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
    /// Adds a job whose `key` is new, with what makes it start by itself.
    async fn create_job(&self, job: JobRecord, triggers: JobTriggers)
    -> Result<(), CreateJobError>;

    /// Replaces a job that is still at `expected_revision`, and what makes it
    /// start by itself.
    async fn replace_job(
        &self,
        job: JobRecord,
        expected_revision: u64,
        triggers: JobTriggers,
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

    /// The firings that are due at `now`, the longest overdue first.
    async fn due_firings(
        &self,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueFiring>, StorageError>;

    /// When the next firing of any job is due.
    async fn next_due(&self) -> Result<Option<DateTime<Utc>>, StorageError>;

    /// Records a firing with what it becomes and the job's next instant, all
    /// in one step. An instant of a job is fired once, whoever claims it.
    async fn claim_firing(&self, claim: FiringClaim) -> Result<NewRuns, ClaimError>;

    /// Sets when a job fires next, if it is still at this revision and its next
    /// firing still stands for `seen`. False when it is not.
    async fn replan_job(
        &self,
        job_id: JobId,
        revision: u64,
        seen: Option<DateTime<Utc>>,
        next: Option<PlannedFiring>,
    ) -> Result<bool, StorageError>;

    /// What the next firings were computed by, such as the version of a zone
    /// database; none before it was said.
    async fn plan_basis(&self) -> Result<Option<String>, StorageError>;

    /// Says by what the next firings are computed.
    async fn set_plan_basis(&self, basis: String) -> Result<(), StorageError>;

    /// The jobs that start after a job with this `key`.
    async fn followers(&self, key: &str) -> Result<Vec<Follower>, StorageError>;

    /// The run that an instant of a job's schedule became.
    async fn firing(
        &self,
        job_id: JobId,
        nominal: DateTime<Utc>,
    ) -> Result<Option<ExecutionId>, StorageError>;

    /// The latest instant of a job's schedule that was fired.
    async fn last_firing(&self, job_id: JobId) -> Result<Option<DateTime<Utc>>, StorageError>;

    /// Runs that wait to be started, oldest first.
    async fn pending_executions(&self) -> Result<Vec<Execution>, StorageError>;

    /// Records a run that waited as started: checks that the job exists at the
    /// run's revision and that its limit allows one more, all in one step.
    async fn start_pending(
        &self,
        execution: Execution,
        limit: Option<u32>,
    ) -> Result<(), StartError>;

    /// Adds what leads to a process of a run that goes on, before it acts.
    async fn add_trace(&self, execution_id: ExecutionId, trace: String) -> Result<(), FinishError>;

    /// Records a run as ended, with its output, the job's figures and the runs
    /// that wait because of it. Also ends a run that waited.
    async fn finish_run(&self, run: Finish) -> Result<NewRuns, FinishError>;

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

    /// The files that a run left, in the order in which it began them.
    async fn artifacts(&self, id: ExecutionId) -> Result<Vec<ArtifactInfo>, StorageError>;

    /// The file of this name that a run left.
    async fn artifact(&self, id: ExecutionId, name: &str)
    -> Result<Option<Artifact>, StorageError>;

    /// Adds a connection, or replaces the one of its name that is still at
    /// this revision.
    async fn put_connection(
        &self,
        connection: ConnectionRecord,
        expected_revision: Option<u64>,
    ) -> Result<(), PutConnectionError>;

    /// Removes a connection. False where there was none.
    async fn delete_connection(&self, name: &str) -> Result<bool, StorageError>;

    /// One connection.
    async fn connection(&self, name: &str) -> Result<Option<ConnectionRecord>, StorageError>;

    /// All connections, by name.
    async fn connections(&self) -> Result<Vec<ConnectionRecord>, StorageError>;

    /// How many bytes are free where it is kept; none where that is not known.
    fn free_bytes(&self) -> Option<u64>;

    /// How writes have shared commits.
    fn commit_metrics(&self) -> CommitMetrics;

    /// Takes over jobs and runs of another system, with the jobs' figures: all
    /// of it in one step, or nothing. What is there already stays as it is.
    async fn import(&self, import: Import) -> Result<Imported, ImportError>;

    /// Ends the writer after what was given to it; later writes fail.
    async fn close(&self);
}
