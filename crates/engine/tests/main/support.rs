//! An engine to be used by one test, over a store that can be made to fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jobcell_engine::{Engine, EngineConfig, JobTypes, ManualClock, NewJob, StartRequest};
use jobcell_host_sql::{ConnectionConfig, SqlCapability, SqlConfig};
use jobcell_model::{
    Execution, ExecutionId, JobId, JobRecord, JobRef, RunOutput, StoredJob, Trigger,
};
use jobcell_plugin_host::{HostConfig, PluginHost, RunLimits};
use jobcell_store::{
    AdmitError, ClaimError, Claimed, CommitMetrics, CreateJobError, DueFiring, Finish, FinishError,
    FiringClaim, Page, PlannedFiring, RedbStore, ReplaceJobError, RunAdmission,
    StartError as StartPendingError, StorageError, Store,
};

/// How long any one thing may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A store in memory whose disk can be full.
pub(crate) struct TestStore {
    inner: RedbStore,
    /// How many ends are refused before one is taken.
    pub(crate) failing_ends: AtomicU32,
    /// How many claims are refused before one is taken.
    pub(crate) failing_claims: AtomicU32,
    /// Whether starts are refused.
    pub(crate) full: AtomicBool,
    /// The database that a run opens before its first effect.
    database: PathBuf,
}

impl TestStore {
    pub(crate) fn new(folder: &Path) -> Arc<Self> {
        Arc::new(Self {
            inner: RedbStore::in_memory().unwrap(),
            failing_ends: AtomicU32::new(0),
            failing_claims: AtomicU32::new(0),
            full: AtomicBool::new(false),
            database: database(folder),
        })
    }

    /// What does not fit in the store.
    pub(crate) fn verify(&self) -> Vec<String> {
        self.inner.verify().unwrap()
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

#[async_trait]
impl Store for TestStore {
    async fn create_job(
        &self,
        job: JobRecord,
        next: Option<PlannedFiring>,
    ) -> Result<(), CreateJobError> {
        self.inner.create_job(job, next).await
    }

    async fn replace_job(
        &self,
        job: JobRecord,
        expected: u64,
        next: Option<PlannedFiring>,
    ) -> Result<(), ReplaceJobError> {
        self.inner.replace_job(job, expected, next).await
    }

    async fn due_firings(
        &self,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueFiring>, StorageError> {
        self.inner.due_firings(now, limit).await
    }

    async fn next_due(&self) -> Result<Option<DateTime<Utc>>, StorageError> {
        self.inner.next_due().await
    }

    async fn claim_firing(&self, claim: FiringClaim) -> Result<Claimed, ClaimError> {
        if take_one(&self.failing_claims) {
            return Err(StorageError::Full.into());
        }
        self.inner.claim_firing(claim).await
    }

    async fn firing(
        &self,
        job_id: JobId,
        nominal: DateTime<Utc>,
    ) -> Result<Option<ExecutionId>, StorageError> {
        self.inner.firing(job_id, nominal).await
    }

    async fn pending_executions(&self) -> Result<Vec<Execution>, StorageError> {
        self.inner.pending_executions().await
    }

    async fn start_pending(
        &self,
        execution: Execution,
        limit: Option<u32>,
    ) -> Result<(), StartPendingError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StorageError::Full.into());
        }
        self.inner.start_pending(execution, limit).await
    }

    async fn delete_job(&self, job_id: JobId) -> Result<bool, StorageError> {
        self.inner.delete_job(job_id).await
    }

    async fn job(&self, job: &JobRef) -> Result<Option<StoredJob>, StorageError> {
        self.inner.job(job).await
    }

    async fn jobs(
        &self,
        after: Option<JobId>,
        limit: usize,
        enabled_only: bool,
    ) -> Result<Page<StoredJob>, StorageError> {
        self.inner.jobs(after, limit, enabled_only).await
    }

    async fn job_counts(&self) -> Result<(u64, u64), StorageError> {
        self.inner.job_counts().await
    }

    async fn admit_run(&self, run: RunAdmission) -> Result<(), AdmitError> {
        if self.full.load(Ordering::SeqCst) {
            self.plugin_is_ready().await;
            return Err(StorageError::Full.into());
        }
        self.inner.admit_run(run).await
    }

    async fn finish_run(&self, run: Finish) -> Result<(), FinishError> {
        if take_one(&self.failing_ends) {
            return Err(StorageError::Full.into());
        }
        self.inner.finish_run(run).await
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StorageError> {
        self.inner.execution(id).await
    }

    async fn output(&self, id: ExecutionId) -> Result<Option<RunOutput>, StorageError> {
        self.inner.output(id).await
    }

    async fn history(
        &self,
        job_id: JobId,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Page<Execution>, StorageError> {
        self.inner.history(job_id, after, limit).await
    }

    async fn open_executions(&self) -> Result<Vec<Execution>, StorageError> {
        self.inner.open_executions().await
    }

    fn commit_metrics(&self) -> CommitMetrics {
        self.inner.commit_metrics()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// Whether one more is to fail.
fn take_one(failing: &AtomicU32) -> bool {
    let one_less = |left: u32| left.checked_sub(1);
    let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
    failing.fetch_update(set, fetch, one_less).is_ok()
}

/// The instant that the tests' clock shows at first.
pub(crate) fn noon() -> DateTime<Utc> {
    at("12:00:00")
}

/// A time of the tests' day.
pub(crate) fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-25T{time}Z").parse().unwrap()
}

/// An engine over this store at noon, with its databases in this folder.
pub(crate) async fn engine(store: Arc<TestStore>, folder: &Path) -> Engine {
    engine_at(store, folder, Arc::new(ManualClock::at(noon()))).await
}

/// The same with this clock.
pub(crate) async fn engine_at(
    store: Arc<TestStore>,
    folder: &Path,
    clock: Arc<ManualClock>,
) -> Engine {
    Engine::start(EngineConfig {
        store,
        clock,
        job_types: job_types(folder),
        limits: RunLimits::default(),
        workers: 64,
        server_info: "test".to_owned(),
    })
    .await
    .unwrap()
}

fn database(folder: &Path) -> PathBuf {
    folder.join("default.sqlite")
}

fn job_types(folder: &Path) -> JobTypes {
    let default = ConnectionConfig::Sqlite {
        path: database(folder),
        read_only: false,
    };
    let sql = SqlCapability::new(SqlConfig {
        connections: [("default".to_owned(), default)].into(),
    });
    let config = HostConfig {
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")),
        ..HostConfig::default()
    };
    let host = PluginHost::new(config, vec![Arc::new(sql)]).unwrap();
    let bundled = jobcell_bundle::job_types().iter();
    let sql = bundled.into_iter().find(|plugin| plugin.name == "sql");
    let plugin = host.load("sql", sql.unwrap().component).unwrap();
    JobTypes::new([plugin]).unwrap()
}

/// Stores an SQL job whose key is `job`.
pub(crate) async fn create(engine: &Engine, query: &str, keys: &str) -> JobRef {
    create_named(engine, "job", query, keys).await
}

/// Stores an SQL job.
pub(crate) async fn create_named(engine: &Engine, key: &str, query: &str, keys: &str) -> JobRef {
    let query = query.replace('\n', "\n  ");
    let yaml = format!("id: {key}\nname: Job\ntype: SQL\nquery: |\n  {query}\n{keys}");
    let new = NewJob {
        yaml,
        created_by: "test".to_owned(),
        ..NewJob::default()
    };
    engine.create_job(new).await.unwrap();
    JobRef::parse(key)
}

/// Asks for a run.
pub(crate) fn by_hand() -> StartRequest {
    StartRequest {
        trigger: Trigger::Manual,
        executed_by: "test".to_owned(),
    }
}

/// All runs of a job, oldest first.
pub(crate) async fn runs(store: &TestStore, job: &JobRef) -> Vec<Execution> {
    let job_id = store.job(job).await.unwrap().unwrap().record.job_id;
    let mut page = store.history(job_id, None, 1000).await.unwrap().items;
    page.reverse();
    page
}

/// Waits until the runs of a job are as wanted, and gives them.
pub(crate) async fn runs_when(
    store: &TestStore,
    job: &JobRef,
    wanted: impl Fn(&[Execution]) -> bool,
) -> Vec<Execution> {
    let waiting = async {
        loop {
            let runs = runs(store, job).await;
            if wanted(&runs) {
                return runs;
            }
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(runs) => runs,
        Err(_) => {
            let runs = runs(store, job).await;
            let told = runs.iter().map(|run| (run.status, run.error_code.clone()));
            panic!("not as wanted: {:?}", told.collect::<Vec<_>>());
        }
    }
}
