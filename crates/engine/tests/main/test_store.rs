//! A store in memory that can be made to fail: its disk is full, or the process
//! that uses it ends in the middle of a write.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jobcell_model::{
    Artifact, ArtifactInfo, ConnectionRecord, Execution, ExecutionId, JobId, JobRecord, JobRef,
    RunOutput, StoredJob,
};
use jobcell_store::{
    AdmitError, ClaimError, CommitMetrics, CreateJobError, DueFiring, Finish, FinishError,
    FiringClaim, Follower, Import, ImportError, Imported, JobTriggers, NewRuns, Page,
    PlannedFiring, PutConnectionError, RedbStore, ReplaceJobError, RunAdmission, StartError,
    StorageError, Store,
};

use tokio::sync::watch;

use crate::support::{PATIENCE, database};

/// A store in memory whose disk can be full, and whose process can end.
pub(crate) struct TestStore {
    inner: RedbStore,
    /// How many ends are refused before one is taken.
    pub(crate) failing_ends: AtomicU32,
    /// How many claims are refused before one is taken.
    pub(crate) failing_claims: AtomicU32,
    /// How many claims are taken and answered with a failure.
    pub(crate) doubtful_claims: AtomicU32,
    /// Whether the end of a run is recorded but not answered yet.
    pub(crate) late_answers: watch::Sender<bool>,
    /// Whether starts are refused.
    pub(crate) full: AtomicBool,
    /// How many more writes there are before the process ends, twice over: an
    /// even number ends it before a write, an odd one after it.
    half_writes_left: AtomicI64,
    /// Whether the process has ended.
    dead: AtomicBool,
    /// How often it was asked what is due next.
    looks: AtomicU32,
    /// The database that a run opens before its first effect.
    database: PathBuf,
}

impl TestStore {
    pub(crate) fn new(folder: &Path) -> Arc<Self> {
        Arc::new(Self {
            inner: RedbStore::in_memory().unwrap(),
            failing_ends: AtomicU32::new(0),
            failing_claims: AtomicU32::new(0),
            doubtful_claims: AtomicU32::new(0),
            late_answers: watch::Sender::new(false),
            full: AtomicBool::new(false),
            half_writes_left: AtomicI64::new(i64::MAX),
            dead: AtomicBool::new(false),
            looks: AtomicU32::new(0),
            database: database(folder),
        })
    }

    /// What does not fit in the store.
    pub(crate) fn verify(&self) -> Vec<String> {
        self.inner.verify().unwrap()
    }

    /// Lets the process end before or after one of the next writes.
    pub(crate) fn dies_after(&self, half_writes: i64) {
        self.half_writes_left.store(half_writes, Ordering::SeqCst);
    }

    /// Whether the process has ended.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Another process opens it: what the one before gave to the writer has been
    /// written or never will be.
    pub(crate) async fn revive(&self) {
        self.inner.delete_job(JobId::generate()).await.unwrap();
        self.half_writes_left.store(i64::MAX, Ordering::SeqCst);
        self.dead.store(false, Ordering::SeqCst);
    }

    /// How often it was asked what is due next.
    pub(crate) fn looks(&self) -> u32 {
        self.looks.load(Ordering::SeqCst)
    }

    /// Fails for a process that has ended.
    fn alive(&self) -> Result<(), StorageError> {
        if self.is_dead() {
            return Err(StorageError::Closed);
        }
        Ok(())
    }

    /// One side of a write; the process may end here.
    fn half_write(&self) -> Result<(), StorageError> {
        self.alive()?;
        if self.half_writes_left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.dead.store(true, Ordering::SeqCst);
        }
        self.alive()
    }

    /// Waits until the plugin is about to act, were it let.
    async fn plugin_is_ready(&self) {
        let ready = async {
            while !self.database.exists() {
                tokio::task::yield_now().await;
            }
            for _ in 0..10_000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.unwrap();
    }
}

/// Whether one more is to fail.
fn take_one(failing: &AtomicU32) -> bool {
    let one_less = |left: u32| left.checked_sub(1);
    let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
    failing.fetch_update(set, fetch, one_less).is_ok()
}

#[async_trait]
impl Store for TestStore {
    async fn create_job(
        &self,
        job: JobRecord,
        triggers: JobTriggers,
    ) -> Result<(), CreateJobError> {
        self.half_write()?;
        let made = self.inner.create_job(job, triggers).await;
        self.half_write()?;
        made
    }

    async fn replace_job(
        &self,
        job: JobRecord,
        expected: u64,
        triggers: JobTriggers,
    ) -> Result<(), ReplaceJobError> {
        self.half_write()?;
        let made = self.inner.replace_job(job, expected, triggers).await;
        self.half_write()?;
        made
    }

    async fn delete_job(&self, job_id: JobId) -> Result<bool, StorageError> {
        self.half_write()?;
        let made = self.inner.delete_job(job_id).await;
        self.half_write()?;
        made
    }

    async fn job(&self, job: &JobRef) -> Result<Option<StoredJob>, StorageError> {
        self.alive()?;
        self.inner.job(job).await
    }

    async fn jobs(
        &self,
        after: Option<JobId>,
        limit: usize,
        enabled_only: bool,
    ) -> Result<Page<StoredJob>, StorageError> {
        self.alive()?;
        self.inner.jobs(after, limit, enabled_only).await
    }

    async fn job_counts(&self) -> Result<(u64, u64), StorageError> {
        self.alive()?;
        self.inner.job_counts().await
    }

    async fn admit_run(&self, run: RunAdmission) -> Result<(), AdmitError> {
        if self.full.load(Ordering::SeqCst) {
            self.plugin_is_ready().await;
            return Err(StorageError::Full.into());
        }
        self.half_write()?;
        let made = self.inner.admit_run(run).await;
        self.half_write()?;
        made
    }

    async fn due_firings(
        &self,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueFiring>, StorageError> {
        self.alive()?;
        self.inner.due_firings(now, limit).await
    }

    async fn next_due(&self) -> Result<Option<DateTime<Utc>>, StorageError> {
        self.alive()?;
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.inner.next_due().await
    }

    async fn claim_firing(&self, claim: FiringClaim) -> Result<NewRuns, ClaimError> {
        if take_one(&self.failing_claims) {
            return Err(StorageError::Full.into());
        }
        self.half_write()?;
        let made = self.inner.claim_firing(claim).await;
        self.half_write()?;
        if take_one(&self.doubtful_claims) {
            return Err(StorageError::Full.into());
        }
        made
    }

    async fn replan_job(
        &self,
        job_id: JobId,
        revision: u64,
        seen: Option<DateTime<Utc>>,
        next: Option<PlannedFiring>,
    ) -> Result<bool, StorageError> {
        self.half_write()?;
        let made = self.inner.replan_job(job_id, revision, seen, next).await;
        self.half_write()?;
        made
    }

    async fn plan_basis(&self) -> Result<Option<String>, StorageError> {
        self.alive()?;
        self.inner.plan_basis().await
    }

    async fn set_plan_basis(&self, basis: String) -> Result<(), StorageError> {
        self.half_write()?;
        let made = self.inner.set_plan_basis(basis).await;
        self.half_write()?;
        made
    }

    async fn followers(&self, key: &str) -> Result<Vec<Follower>, StorageError> {
        self.alive()?;
        self.inner.followers(key).await
    }

    async fn firing(
        &self,
        job_id: JobId,
        nominal: DateTime<Utc>,
    ) -> Result<Option<ExecutionId>, StorageError> {
        self.alive()?;
        self.inner.firing(job_id, nominal).await
    }

    async fn last_firing(&self, job_id: JobId) -> Result<Option<DateTime<Utc>>, StorageError> {
        self.alive()?;
        self.inner.last_firing(job_id).await
    }

    async fn pending_executions(&self) -> Result<Vec<Execution>, StorageError> {
        self.alive()?;
        self.inner.pending_executions().await
    }

    async fn start_pending(
        &self,
        execution: Execution,
        limit: Option<u32>,
    ) -> Result<(), StartError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StorageError::Full.into());
        }
        self.half_write()?;
        let made = self.inner.start_pending(execution, limit).await;
        self.half_write()?;
        made
    }

    async fn add_trace(&self, execution_id: ExecutionId, trace: String) -> Result<(), FinishError> {
        self.half_write()?;
        let made = self.inner.add_trace(execution_id, trace).await;
        self.half_write()?;
        made
    }

    async fn finish_run(&self, run: Finish) -> Result<NewRuns, FinishError> {
        if take_one(&self.failing_ends) {
            return Err(StorageError::Full.into());
        }
        self.half_write()?;
        let made = self.inner.finish_run(run).await;
        let mut late = self.late_answers.subscribe();
        late.wait_for(|late| !late).await.unwrap();
        self.half_write()?;
        made
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StorageError> {
        self.alive()?;
        self.inner.execution(id).await
    }

    async fn output(&self, id: ExecutionId) -> Result<Option<RunOutput>, StorageError> {
        self.alive()?;
        self.inner.output(id).await
    }

    async fn history(
        &self,
        job_id: JobId,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Page<Execution>, StorageError> {
        self.alive()?;
        self.inner.history(job_id, after, limit).await
    }

    async fn open_executions(&self) -> Result<Vec<Execution>, StorageError> {
        self.alive()?;
        self.inner.open_executions().await
    }

    async fn artifacts(&self, id: ExecutionId) -> Result<Vec<ArtifactInfo>, StorageError> {
        self.alive()?;
        self.inner.artifacts(id).await
    }

    async fn artifact(
        &self,
        id: ExecutionId,
        name: &str,
    ) -> Result<Option<Artifact>, StorageError> {
        self.alive()?;
        self.inner.artifact(id, name).await
    }

    async fn put_connection(
        &self,
        connection: ConnectionRecord,
        expected_revision: Option<u64>,
    ) -> Result<(), PutConnectionError> {
        self.half_write()?;
        let put = self
            .inner
            .put_connection(connection, expected_revision)
            .await;
        self.half_write()?;
        put
    }

    async fn delete_connection(&self, name: &str) -> Result<bool, StorageError> {
        self.half_write()?;
        let gone = self.inner.delete_connection(name).await;
        self.half_write()?;
        gone
    }

    async fn connection(&self, name: &str) -> Result<Option<ConnectionRecord>, StorageError> {
        self.alive()?;
        self.inner.connection(name).await
    }

    async fn connections(&self) -> Result<Vec<ConnectionRecord>, StorageError> {
        self.alive()?;
        self.inner.connections().await
    }

    fn free_bytes(&self) -> Option<u64> {
        self.inner.free_bytes()
    }

    fn commit_metrics(&self) -> CommitMetrics {
        self.inner.commit_metrics()
    }

    async fn import(&self, import: Import) -> Result<Imported, ImportError> {
        self.half_write()?;
        let made = self.inner.import(import).await;
        self.half_write()?;
        made
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
