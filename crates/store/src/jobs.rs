//! Writing and reading jobs. Never touches a run.

use std::ops::Bound;

use jobcell_model::{JobId, JobRecord, JobRef, JobStatistics, StoredJob};
use redb::{ReadableTable, ReadableTableMetadata, Value};

use crate::codec;
use crate::due;
use crate::error::{CreateJobError, ReplaceJobError, StorageError};
use crate::failure::Failure;
use crate::rows;
use crate::store::{JobTriggers, Page};
use crate::tables::{Id, Snapshot, WriteTables};
use crate::ties;
use crate::writer::{Change, Operation, Stop};

/// Adds a job.
pub(crate) struct CreateJob {
    job: JobRecord,
    row: Vec<u8>,
    statistics: Vec<u8>,
    triggers: JobTriggers,
}

impl CreateJob {
    pub(crate) fn new(job: JobRecord, triggers: JobTriggers) -> Result<Self, StorageError> {
        let row = rows::encode_job(&job)?;
        let statistics = rows::encode_statistics(&JobStatistics::default())?;
        Ok(Self {
            job,
            row,
            statistics,
            triggers,
        })
    }

    pub(crate) const fn job_id(&self) -> JobId {
        self.job.job_id
    }
}

impl Operation for CreateJob {
    type Reply = ();
    type Error = CreateJobError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<CreateJobError>> {
        let id = self.job.job_id.as_bytes();
        if let Some(holder) = holder_of(tables, &self.job.key)? {
            let key = self.job.key.clone();
            return Err(Stop::Refused(CreateJobError::KeyTaken {
                key,
                job_id: holder,
            }));
        }
        // Another key for an id that is in use would leave the old key behind.
        if let Some(present) = tables.jobs()?.get(id)? {
            let key = rows::decode_job(self.job.job_id, present.value())?.key;
            let job_id = self.job.job_id;
            return Err(Stop::Refused(CreateJobError::KeyTaken { key, job_id }));
        }
        if let Some(keys) =
            ties::cycle::<Stop<_>>(tables, &self.job, self.triggers.after.as_deref())?
        {
            return Err(Stop::Refused(CreateJobError::Cycle { keys }));
        }
        tables.jobs()?.insert(id, self.row.as_slice())?;
        tables.job_keys()?.insert(self.job.key.as_str(), id)?;
        tables
            .statistics()?
            .insert(id, self.statistics.as_slice())?;
        if self.job.enabled {
            tables.enabled_jobs()?.insert(id, ())?;
        }
        due::plan(tables, self.job.job_id, self.triggers.next)?;
        ties::set::<Stop<_>>(tables, self.job.job_id, self.triggers.after.as_deref())?;
        Ok(Change::Made(()))
    }

    fn needs_room(&self) -> bool {
        true
    }
}

/// Replaces a job. Not refused when room gets scarce: disabling a job may be
/// what helps.
pub(crate) struct ReplaceJob {
    job: JobRecord,
    row: Vec<u8>,
    expected_revision: u64,
    triggers: JobTriggers,
}

impl ReplaceJob {
    pub(crate) fn new(
        job: JobRecord,
        expected_revision: u64,
        triggers: JobTriggers,
    ) -> Result<Self, StorageError> {
        let row = rows::encode_job(&job)?;
        Ok(Self {
            job,
            row,
            expected_revision,
            triggers,
        })
    }
}

impl Operation for ReplaceJob {
    type Reply = ();
    type Error = ReplaceJobError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<ReplaceJobError>> {
        let job_id = self.job.job_id;
        let id = job_id.as_bytes();
        let before = match tables.jobs()?.get(id)? {
            Some(row) => rows::decode_job(job_id, row.value())?,
            None => return Err(Stop::Refused(ReplaceJobError::NotFound { job_id })),
        };
        if before.revision != self.expected_revision {
            let revision = before.revision;
            return Err(Stop::Refused(ReplaceJobError::Changed { revision }));
        }
        if let Some(keys) =
            ties::cycle::<Stop<_>>(tables, &self.job, self.triggers.after.as_deref())?
        {
            return Err(Stop::Refused(ReplaceJobError::Cycle { keys }));
        }
        if before.key != self.job.key {
            if let Some(holder) = holder_of(tables, &self.job.key)? {
                let key = self.job.key.clone();
                return Err(Stop::Refused(ReplaceJobError::KeyTaken {
                    key,
                    job_id: holder,
                }));
            }
            tables.job_keys()?.remove(before.key.as_str())?;
            tables.job_keys()?.insert(self.job.key.as_str(), id)?;
        }
        tables.jobs()?.insert(id, self.row.as_slice())?;
        match (before.enabled, self.job.enabled) {
            (false, true) => drop(tables.enabled_jobs()?.insert(id, ())?),
            (true, false) => drop(tables.enabled_jobs()?.remove(id)?),
            _ => {}
        }
        due::plan(tables, job_id, self.triggers.next)?;
        ties::set::<Stop<_>>(tables, job_id, self.triggers.after.as_deref())?;
        Ok(Change::Made(()))
    }
}

/// Removes a job. What is known of its runs stays.
pub(crate) struct DeleteJob(pub(crate) JobId);

impl Operation for DeleteJob {
    type Reply = bool;
    type Error = StorageError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<bool>, Stop<StorageError>> {
        let id = self.0.as_bytes();
        let job = match tables.jobs()?.get(id)? {
            Some(row) => rows::decode_job(self.0, row.value())?,
            None => return Ok(Change::Nothing(false)),
        };
        tables.jobs()?.remove(id)?;
        tables.job_keys()?.remove(job.key.as_str())?;
        tables.statistics()?.remove(id)?;
        tables.enabled_jobs()?.remove(id)?;
        due::plan(tables, self.0, None)?;
        ties::set::<Stop<_>>(tables, self.0, Some(&[]))?;
        Ok(Change::Made(true))
    }
}

/// One job.
pub(crate) fn find(snapshot: &Snapshot, job: &JobRef) -> Result<Option<StoredJob>, Failure> {
    let key = match job {
        JobRef::Id(id) => match load(snapshot, *id)? {
            Some(job) => return Ok(Some(job)),
            // A key may look like a UUID. The text that was given is lost, but
            // this is how a UUID is written.
            None => id.to_string(),
        },
        JobRef::Key(key) => key.clone(),
    };
    let keys = snapshot.job_keys()?;
    let Some(id) = keys
        .get(key.as_str())?
        .map(|id| JobId::from_bytes(*id.value()))
    else {
        return Ok(None);
    };
    load(snapshot, id)
}

/// A page of jobs, newest first.
pub(crate) fn page(
    snapshot: &Snapshot,
    after: Option<JobId>,
    limit: usize,
    enabled_only: bool,
) -> Result<Page<StoredJob>, Failure> {
    let mut ids = if enabled_only {
        newest(&snapshot.enabled_jobs()?, after, limit)?
    } else {
        newest(&snapshot.jobs()?, after, limit)?
    };
    let more = ids.len() > limit;
    ids.truncate(limit);
    let items = ids
        .into_iter()
        .filter_map(|id| load(snapshot, id).transpose())
        .collect::<Result<_, _>>()?;
    Ok(Page { items, more })
}

/// How many jobs there are: all, and the enabled ones.
pub(crate) fn counts(snapshot: &Snapshot) -> Result<(u64, u64), Failure> {
    Ok((snapshot.jobs()?.len()?, snapshot.enabled_jobs()?.len()?))
}

/// A job's revision, where there is the job.
pub(crate) fn revision<E: From<StorageError>>(
    tables: &mut WriteTables<'_>,
    job: JobId,
) -> Result<Option<u64>, Stop<E>> {
    match tables.jobs()?.get(job.as_bytes())? {
        Some(row) => Ok(Some(codec::job_revision(row.value())?)),
        None => Ok(None),
    }
}

/// The last ids of a table before `after`, one more than `limit`.
fn newest<V: Value + 'static>(
    table: &impl ReadableTable<Id, V>,
    after: Option<JobId>,
    limit: usize,
) -> Result<Vec<JobId>, Failure> {
    let end = after
        .as_ref()
        .map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes()));
    let rows = table.range::<&[u8; 16]>((Bound::Unbounded, end))?;
    rows.rev()
        .take(limit.saturating_add(1))
        .map(|row| Ok(JobId::from_bytes(*row?.0.value())))
        .collect()
}

fn holder_of(tables: &mut WriteTables<'_>, key: &str) -> Result<Option<JobId>, redb::StorageError> {
    Ok(tables
        .job_keys()?
        .get(key)?
        .map(|id| JobId::from_bytes(*id.value())))
}

fn load(snapshot: &Snapshot, id: JobId) -> Result<Option<StoredJob>, Failure> {
    let jobs = snapshot.jobs()?;
    let Some(row) = jobs.get(id.as_bytes())? else {
        return Ok(None);
    };
    let record = rows::decode_job(id, row.value())?;
    let statistics = match snapshot.statistics()?.get(id.as_bytes())? {
        Some(row) => rows::decode_statistics(row.value())?,
        None => return Err(codec::corrupt("job", "its statistics are missing").into()),
    };
    Ok(Some(StoredJob {
        record,
        statistics,
        next_scheduled_time: due::of_job(snapshot, id)?.map(|planned| planned.nominal),
    }))
}
