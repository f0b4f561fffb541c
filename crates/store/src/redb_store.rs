//! The store on redb: one file, or memory. Carries out the `Store` trait by
//! giving writes to the writer's thread and reading in place. Never shares its
//! file with another process.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jobcell_model::{
    Artifact, ArtifactInfo, ConnectionRecord, Execution, ExecutionId, JobId, JobRecord, JobRef,
    RunOutput, StoredJob,
};
use redb::DatabaseError;

use crate::artifacts;
use crate::connections::{self, DeleteConnection, PutConnection};
use crate::due::{self, ClaimFiring, Replan, SetBasis};
use crate::error::{
    AdmitError, ClaimError, CreateJobError, FinishError, ImportError, OpenError,
    PutConnectionError, ReplaceJobError, StartError, StorageError,
};
use crate::failure::{Failure, is_full};
use crate::format::{self, FORMAT, Found};
use crate::import::{Import, Imported, TakeOver};
use crate::jobs::{self, CreateJob, DeleteJob, ReplaceJob};
use crate::medium::{FileMedium, Medium, MemoryMedium};
use crate::pending::{self, StartPending};
use crate::runs::{self, AdmitRun, FinishRun};
use crate::slot::{OpenFailure, Slot, damaged};
use crate::store::{
    CommitMetrics, DueFiring, Finish, FiringClaim, Follower, JobTriggers, NewRuns, Page,
    PlannedFiring, RunAdmission, Store,
};
use crate::tables::{Snapshot, WriteTables};
use crate::ties;
use crate::traces::AddTrace;
use crate::verify;
use crate::writer::{Change, Operation, Stop, WriterHandle};

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Memory for parts of the file, in bytes.
    pub cache_bytes: usize,
    /// While the disk has less room than this, in bytes, new jobs and runs are
    /// refused as if it were full, so that what goes on can still be finished
    /// and recorded. 0 uses the disk up. Only on Unix can the room be told.
    pub reserve_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            reserve_bytes: 32 * 1024 * 1024,
        }
    }
}

/// A store in one redb file. Dropping it finishes the writes that were given to
/// it and closes the file, which may block for one commit; `close` waits
/// without blocking.
pub struct RedbStore {
    writer: WriterHandle,
    slot: Arc<Slot>,
}

impl RedbStore {
    /// Opens the store in this file, or makes one where there is none. After
    /// the end of a process that could not close it, redb first checks the
    /// whole file, which takes about a second for each gigabyte.
    ///
    /// # Errors
    /// When it is in use, can't be read, or is of a later format.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let medium = prepare_file(path)?;
        Self::open_medium(Box::new(medium), &path.display().to_string(), &options)
    }

    /// A store in memory, gone when dropped.
    ///
    /// # Errors
    /// When the writer's thread can't be started.
    pub fn in_memory() -> Result<Self, OpenError> {
        let medium = Box::new(MemoryMedium::default());
        Self::open_medium(medium, "in memory", &StoreOptions::default())
    }

    /// Compares every row with every index. Returns what does not fit, one
    /// sentence each; an empty list is a sound store. Reads all of it.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn verify(&self) -> Result<Vec<String>, StorageError> {
        self.slot
            .read(verify::verify)
            .map_err(|failure| failure.into_storage("verifying"))
    }

    pub(crate) fn open_medium(
        medium: Box<dyn Medium>,
        path: &str,
        options: &StoreOptions,
    ) -> Result<Self, OpenError> {
        let slot =
            Slot::open(medium, options.cache_bytes).map_err(|failure| open_error(path, failure))?;
        match format::check_or_create(&slot) {
            Ok(Found::Current) => {}
            Ok(Found::Newer(found)) => {
                let path = path.to_owned();
                return Err(OpenError::NewerFormat {
                    path,
                    found,
                    supported: FORMAT,
                });
            }
            Ok(Found::Foreign) => return Err(unreadable(path, Unusable::Foreign)),
            Err(failure) => return Err(failure.into_storage("reading the format").into()),
        }
        let slot = Arc::new(slot);
        let writer = WriterHandle::start(Arc::clone(&slot), options.reserve_bytes)?;
        Ok(Self { writer, slot })
    }

    /// Reads; where a failure made the database useless, has the writer open it
    /// again and tries once more.
    async fn read<T: Send>(
        &self,
        operation: &'static str,
        read: impl Fn(&Snapshot) -> Result<T, Failure> + Send,
    ) -> Result<T, StorageError> {
        let failure = match self.slot.read(&read) {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        if !failure.needs_reopening() && !self.slot.is_failed() {
            return Err(failure.into_storage(operation));
        }
        self.writer.write(Reopen).await?;
        self.slot
            .read(&read)
            .map_err(|failure| failure.into_storage(operation))
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn create_job(
        &self,
        job: JobRecord,
        triggers: JobTriggers,
    ) -> Result<(), CreateJobError> {
        self.writer.write(CreateJob::new(job, triggers)?).await
    }

    async fn replace_job(
        &self,
        job: JobRecord,
        expected_revision: u64,
        triggers: JobTriggers,
    ) -> Result<(), ReplaceJobError> {
        self.writer
            .write(ReplaceJob::new(job, expected_revision, triggers)?)
            .await
    }

    async fn delete_job(&self, job_id: JobId) -> Result<bool, StorageError> {
        self.writer.write(DeleteJob(job_id)).await
    }

    async fn job(&self, job: &JobRef) -> Result<Option<StoredJob>, StorageError> {
        self.read("reading a job", |snapshot| jobs::find(snapshot, job))
            .await
    }

    async fn jobs(
        &self,
        after: Option<JobId>,
        limit: usize,
        enabled_only: bool,
    ) -> Result<Page<StoredJob>, StorageError> {
        self.read("listing jobs", |snapshot| {
            jobs::page(snapshot, after, limit, enabled_only)
        })
        .await
    }

    async fn job_counts(&self) -> Result<(u64, u64), StorageError> {
        self.read("counting jobs", jobs::counts).await
    }

    async fn admit_run(&self, run: RunAdmission) -> Result<(), AdmitError> {
        self.writer.write(AdmitRun::new(run)?).await
    }

    async fn due_firings(
        &self,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueFiring>, StorageError> {
        self.read("looking for what is due", |snapshot| {
            due::due(snapshot, now, limit)
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<DateTime<Utc>>, StorageError> {
        self.read("looking for what is due next", due::next_due)
            .await
    }

    async fn claim_firing(&self, claim: FiringClaim) -> Result<NewRuns, ClaimError> {
        self.writer.write(ClaimFiring::new(claim)).await
    }

    async fn replan_job(
        &self,
        job_id: JobId,
        revision: u64,
        seen: Option<DateTime<Utc>>,
        next: Option<PlannedFiring>,
    ) -> Result<bool, StorageError> {
        let replan = Replan {
            job_id,
            revision,
            seen,
            next,
        };
        self.writer.write(replan).await
    }

    async fn plan_basis(&self) -> Result<Option<String>, StorageError> {
        self.read("reading what plans rest on", due::basis).await
    }

    async fn set_plan_basis(&self, basis: String) -> Result<(), StorageError> {
        self.writer.write(SetBasis(basis)).await
    }

    async fn followers(&self, key: &str) -> Result<Vec<Follower>, StorageError> {
        self.read("looking for jobs that follow", |snapshot| {
            ties::followers(snapshot, key)
        })
        .await
    }

    async fn firing(
        &self,
        job_id: JobId,
        nominal: DateTime<Utc>,
    ) -> Result<Option<ExecutionId>, StorageError> {
        self.read("looking for a firing", |snapshot| {
            due::firing(snapshot, job_id, nominal)
        })
        .await
    }

    async fn last_firing(&self, job_id: JobId) -> Result<Option<DateTime<Utc>>, StorageError> {
        self.read("looking for the last firing", |snapshot| {
            due::last_firing(snapshot, job_id)
        })
        .await
    }

    async fn pending_executions(&self) -> Result<Vec<Execution>, StorageError> {
        self.read("listing runs that wait", pending::all).await
    }

    async fn start_pending(
        &self,
        execution: Execution,
        limit: Option<u32>,
    ) -> Result<(), StartError> {
        self.writer
            .write(StartPending::new(execution, limit)?)
            .await
    }

    async fn add_trace(&self, execution_id: ExecutionId, trace: String) -> Result<(), FinishError> {
        let add = AddTrace {
            execution_id,
            trace,
        };
        self.writer.write(add).await
    }

    async fn finish_run(&self, run: Finish) -> Result<NewRuns, FinishError> {
        self.writer.write(FinishRun::new(run).await?).await
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StorageError> {
        self.read("reading a run", |snapshot| runs::find(snapshot, id))
            .await
    }

    async fn output(&self, id: ExecutionId) -> Result<Option<RunOutput>, StorageError> {
        self.read("reading a run's output", |snapshot| {
            runs::output(snapshot, id)
        })
        .await
    }

    async fn history(
        &self,
        job_id: JobId,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Page<Execution>, StorageError> {
        self.read("listing runs", |snapshot| {
            runs::page(snapshot, job_id, after, limit)
        })
        .await
    }

    async fn open_executions(&self) -> Result<Vec<Execution>, StorageError> {
        self.read("listing runs that go on", runs::open).await
    }

    async fn artifacts(&self, id: ExecutionId) -> Result<Vec<ArtifactInfo>, StorageError> {
        self.read("listing a run's artifacts", |snapshot| {
            artifacts::list(snapshot, id)
        })
        .await
    }

    async fn artifact(
        &self,
        id: ExecutionId,
        name: &str,
    ) -> Result<Option<Artifact>, StorageError> {
        self.read("reading an artifact", |snapshot| {
            artifacts::find(snapshot, id, name)
        })
        .await
    }

    async fn put_connection(
        &self,
        connection: ConnectionRecord,
        expected_revision: Option<u64>,
    ) -> Result<(), PutConnectionError> {
        let put = PutConnection::new(&connection, expected_revision)?;
        self.writer.write(put).await
    }

    async fn delete_connection(&self, name: &str) -> Result<bool, StorageError> {
        self.writer.write(DeleteConnection(name.to_owned())).await
    }

    async fn connection(&self, name: &str) -> Result<Option<ConnectionRecord>, StorageError> {
        self.read("reading a connection", |snapshot| {
            connections::find(snapshot, name)
        })
        .await
    }

    async fn connections(&self) -> Result<Vec<ConnectionRecord>, StorageError> {
        self.read("listing connections", connections::all).await
    }

    fn free_bytes(&self) -> Option<u64> {
        self.slot.free_bytes()
    }

    fn commit_metrics(&self) -> CommitMetrics {
        self.writer.metrics()
    }

    async fn import(&self, import: Import) -> Result<Imported, ImportError> {
        self.writer.write(TakeOver::new(import)?).await
    }

    async fn close(&self) {
        self.writer.close().await;
    }
}

/// Writes nothing; the writer opens a failed database again before any write.
struct Reopen;

impl Operation for Reopen {
    type Reply = ();
    type Error = StorageError;

    fn apply(&self, _: &mut WriteTables<'_>) -> Result<Change<()>, Stop<StorageError>> {
        Ok(Change::Nothing(()))
    }
}

/// Why a file is of no use as a store.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("the folder {0} does not exist; create it, or name another folder")]
    NoFolder(String),
    #[error("it is a redb database of another program; name another file")]
    Foreign,
}

fn prepare_file(path: &Path) -> Result<FileMedium, OpenError> {
    let text = path.display().to_string();
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        return Err(unreadable(
            &text,
            Unusable::NoFolder(folder.display().to_string()),
        ));
    }
    FileMedium::prepare(path).map_err(|error| {
        if is_full(&error) {
            StorageError::Full.into()
        } else {
            unreadable(&text, error)
        }
    })
}

fn open_error(path: &str, failure: OpenFailure) -> OpenError {
    let path = path.to_owned();
    match failure {
        OpenFailure::Refused(DatabaseError::DatabaseAlreadyOpen) => OpenError::InUse { path },
        OpenFailure::Refused(DatabaseError::Storage(redb::StorageError::Io(error)))
            if is_full(&error) =>
        {
            StorageError::Full.into()
        }
        OpenFailure::Refused(error) => OpenError::Unreadable {
            path,
            source: Arc::new(error),
        },
        OpenFailure::Damaged => OpenError::Unreadable {
            path,
            source: Arc::new(damaged()),
        },
    }
}

fn unreadable(path: &str, source: impl std::error::Error + Send + Sync + 'static) -> OpenError {
    OpenError::Unreadable {
        path: path.to_owned(),
        source: Arc::new(source),
    }
}
