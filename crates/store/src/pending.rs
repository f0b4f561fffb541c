//! Runs that wait: recorded, not started. Never decides which of them is next.

use jobcell_model::{Execution, ExecutionId, JobId};
use redb::ReadableTable;

use crate::error::{StartError, StorageError};
use crate::failure::Failure;
use crate::rows;
use crate::runs;
use crate::tables::{JobRun, Snapshot, WriteTables, job_run, runs_of, split_job_run};
use crate::writer::{Change, Operation, Stop};

/// The runs of one job in a table of runs, oldest first.
pub(crate) fn of_job(
    table: &impl ReadableTable<JobRun, ()>,
    job: JobId,
) -> Result<Vec<ExecutionId>, redb::StorageError> {
    let (first, last) = runs_of(job);
    table
        .range::<&[u8; 32]>(&first..=&last)?
        .map(|row| Ok(split_job_run(row?.0.value()).1))
        .collect()
}

/// All runs that wait, oldest first.
pub(crate) fn all(snapshot: &Snapshot) -> Result<Vec<Execution>, Failure> {
    let mut ids = snapshot
        .pending_runs()?
        .iter()?
        .map(|row| Ok(split_job_run(row?.0.value()).1))
        .collect::<Result<Vec<_>, Failure>>()?;
    ids.sort_unstable();
    runs::load_all(snapshot, &ids)
}

/// Adds runs that wait, as part of another write.
pub(crate) fn add(
    tables: &mut WriteTables<'_>,
    runs: &[(Execution, Vec<u8>)],
) -> Result<(), redb::StorageError> {
    for (run, row) in runs {
        let key = job_run(run.job_id, run.execution_id);
        tables
            .history
            .insert(run.execution_id.as_bytes(), row.as_slice())?;
        tables.runs_by_job.insert(&key, ())?;
        tables.pending_runs.insert(&key, ())?;
    }
    Ok(())
}

/// Starts a run that waits.
pub(crate) struct StartPending {
    execution: Execution,
    limit: Option<u32>,
    row: Vec<u8>,
}

impl StartPending {
    pub(crate) fn new(execution: Execution, limit: Option<u32>) -> Result<Self, StorageError> {
        let row = rows::encode_execution(&execution)?;
        Ok(Self {
            execution,
            limit,
            row,
        })
    }
}

impl StartPending {
    /// A commit that is reported as failed may have reached the disk all the
    /// same, so the same run may ask twice for its start.
    fn given_again(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<StartError>> {
        let Execution {
            job_id,
            execution_id,
            ..
        } = self.execution;
        if tables
            .open_runs
            .get(&job_run(job_id, execution_id))?
            .is_none()
        {
            return Err(Stop::Refused(StartError::NotPending { execution_id }));
        }
        tables
            .history
            .insert(execution_id.as_bytes(), self.row.as_slice())?;
        Ok(Change::Made(()))
    }
}

impl Operation for StartPending {
    type Reply = ();
    type Error = StartError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<StartError>> {
        let Execution {
            job_id,
            execution_id,
            ..
        } = self.execution;
        let key = job_run(job_id, execution_id);
        if tables.pending_runs.get(&key)?.is_none() {
            return self.given_again(tables);
        }
        if let Some(limit) = self.limit {
            let running = of_job(&tables.open_runs, job_id)?;
            if let Some(oldest) = running.first()
                && running.len() >= limit.max(1) as usize
            {
                let execution_id = *oldest;
                return Err(Stop::Refused(StartError::Busy { execution_id }));
            }
        }
        tables.pending_runs.remove(&key)?;
        tables.open_runs.insert(&key, ())?;
        tables
            .history
            .insert(execution_id.as_bytes(), self.row.as_slice())?;
        Ok(Change::Made(()))
    }

    fn needs_room(&self) -> bool {
        true
    }
}
