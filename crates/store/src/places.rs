//! Where runs are listed that go on or wait: by job, and besides by the key
//! that several jobs share a limit by. Never touches a row.

use jobcell_model::{Execution, ExecutionId, JobId};
use redb::{ReadableTable, Table};

use crate::tables::{
    JobRun, WriteTables, job_run, named, names_of, runs_of, split_job_run, split_named,
};

/// A list of runs: those that go on, or those that wait.
pub(crate) struct Places<'a, 'txn> {
    tables: &'a mut WriteTables<'txn>,
    open: bool,
}

/// The runs that go on.
pub(crate) fn open<'a, 'txn>(tables: &'a mut WriteTables<'txn>) -> Places<'a, 'txn> {
    Places { tables, open: true }
}

/// The runs that wait.
pub(crate) fn pending<'a, 'txn>(tables: &'a mut WriteTables<'txn>) -> Places<'a, 'txn> {
    Places {
        tables,
        open: false,
    }
}

impl<'txn> Places<'_, 'txn> {
    /// Lists a run.
    pub(crate) fn add(&mut self, run: &Execution) -> Result<(), redb::StorageError> {
        let key = job_run(run.job_id, run.execution_id);
        self.by_job()?.insert(&key, ())?;
        if let Some(key) = &run.concurrency_key {
            let key = named(key, run.execution_id.as_bytes());
            self.by_key()?.insert(key.as_slice(), ())?;
        }
        Ok(())
    }

    /// Takes a run off the list, and says whether it was there.
    pub(crate) fn remove(&mut self, run: &Execution) -> Result<bool, redb::StorageError> {
        let key = job_run(run.job_id, run.execution_id);
        let there = self.by_job()?.remove(&key)?.is_some();
        if there {
            self.forget_key(run)?;
        }
        Ok(there)
    }

    /// Takes a run that is off the list by job off the one by key.
    pub(crate) fn forget_key(&mut self, run: &Execution) -> Result<(), redb::StorageError> {
        if let Some(key) = &run.concurrency_key {
            let key = named(key, run.execution_id.as_bytes());
            self.by_key()?.remove(key.as_slice())?;
        }
        Ok(())
    }

    /// Whether a run is listed.
    pub(crate) fn holds(&mut self, run: &Execution) -> Result<bool, redb::StorageError> {
        let key = job_run(run.job_id, run.execution_id);
        Ok(self.by_job()?.get(&key)?.is_some())
    }

    /// The first so many runs that share a run's limit: those with its key, or
    /// of its job where it has none. Oldest first.
    pub(crate) fn beside(
        &mut self,
        run: &Execution,
        most: usize,
    ) -> Result<Vec<ExecutionId>, redb::StorageError> {
        match &run.concurrency_key {
            Some(key) => of_key(self.by_key()?, key, most),
            None => of_job(self.by_job()?, run.job_id, most),
        }
    }

    fn by_job(&mut self) -> Result<&mut Table<'txn, JobRun, ()>, redb::StorageError> {
        if self.open {
            self.tables.open_runs()
        } else {
            self.tables.pending_runs()
        }
    }

    fn by_key(&mut self) -> Result<&mut Table<'txn, &'static [u8], ()>, redb::StorageError> {
        if self.open {
            self.tables.open_by_key()
        } else {
            self.tables.pending_by_key()
        }
    }
}

/// The first so many runs of one job in a table of runs, oldest first.
fn of_job(
    table: &impl ReadableTable<JobRun, ()>,
    job: JobId,
    most: usize,
) -> Result<Vec<ExecutionId>, redb::StorageError> {
    let (first, last) = runs_of(job);
    table
        .range::<&[u8; 32]>(&first..=&last)?
        .take(most)
        .map(|row| Ok(split_job_run(row?.0.value()).1))
        .collect()
}

fn of_key(
    table: &impl ReadableTable<&'static [u8], ()>,
    key: &str,
    most: usize,
) -> Result<Vec<ExecutionId>, redb::StorageError> {
    let (first, last) = names_of(key);
    let rows = table.range::<&[u8]>(first.as_slice()..=last.as_slice())?;
    rows.take(most)
        .filter_map(|row| {
            let id = row.map(|(key, _)| split_named(key.value()).map(|(_, id)| id));
            id.transpose().map(|id| id.map(ExecutionId::from_bytes))
        })
        .collect()
}
