//! The tables, their keys, and how they are opened for one batch of writes or
//! one read. Never decides what is written to them.

use jobcell_model::{ExecutionId, JobId};
use redb::{
    Key, ReadOnlyTable, ReadTransaction, Table, TableDefinition, TableError, Value,
    WriteTransaction,
};

use crate::due::PlannedRow;
use crate::failure::Failure;

/// When, then a job's id.
pub(crate) type DueJob = &'static [u8; 24];
/// A job's id, then an instant of its schedule.
pub(crate) type JobInstant = &'static [u8; 24];
/// The sixteen bytes of a UUID.
pub(crate) type Id = &'static [u8; 16];
/// A job's id, then a run's.
pub(crate) type JobRun = &'static [u8; 32];
/// A run's id, then the number of a piece of its output.
pub(crate) type RunPiece = &'static [u8; 20];

/// A job's id to its row.
pub(crate) const JOBS: TableDefinition<'_, Id, &[u8]> =
    TableDefinition::new("job_configurations_v2");
/// The ids of the jobs that are enabled.
pub(crate) const ENABLED_JOBS: TableDefinition<'_, Id, ()> = TableDefinition::new("enabled_jobs");
/// A job's own `id` to the server's.
pub(crate) const JOB_KEYS: TableDefinition<'_, &str, Id> = TableDefinition::new("job_keys");
/// A job's id to its figures. A row exists as long as the job does.
pub(crate) const STATISTICS: TableDefinition<'_, Id, &[u8]> =
    TableDefinition::new("job_statistics_v2");
/// A run's id to its row.
pub(crate) const HISTORY: TableDefinition<'_, Id, &[u8]> =
    TableDefinition::new("job_execution_history_v2");
/// The runs of each job, by age.
pub(crate) const RUNS_BY_JOB: TableDefinition<'_, JobRun, ()> =
    TableDefinition::new("job_executions_by_job");
/// The runs that go on, by job.
pub(crate) const OPEN_RUNS: TableDefinition<'_, JobRun, ()> =
    TableDefinition::new("open_executions");
/// The runs that wait to start, by job.
pub(crate) const PENDING_RUNS: TableDefinition<'_, JobRun, ()> =
    TableDefinition::new("pending_executions");
/// A job's id to the next instant of its schedule.
pub(crate) const PLANNED: TableDefinition<'_, Id, &PlannedRow> =
    TableDefinition::new("planned_firings");
/// The same by time: what the planner sleeps by.
pub(crate) const DUE: TableDefinition<'_, DueJob, ()> = TableDefinition::new("due_jobs");
/// The runs that go on, by the key that they share a limit by.
pub(crate) const OPEN_BY_KEY: TableDefinition<'_, &[u8], ()> =
    TableDefinition::new("open_executions_by_key");
/// The runs that wait to start, by the key that they share a limit by.
pub(crate) const PENDING_BY_KEY: TableDefinition<'_, &[u8], ()> =
    TableDefinition::new("pending_executions_by_key");
/// A job's own `id`, then the id of a job that starts after it, to when.
pub(crate) const FOLLOWERS: TableDefinition<'_, &[u8], &[u8]> =
    TableDefinition::new("job_followers");
/// A job's id to the jobs after which it starts.
pub(crate) const PREDECESSORS: TableDefinition<'_, Id, &[u8]> =
    TableDefinition::new("job_predecessors");
/// Every instant that was fired, to its run.
pub(crate) const FIRINGS: TableDefinition<'_, JobInstant, Id> = TableDefinition::new("firings");
/// What runs wrote, in pieces.
pub(crate) const OUTPUT: TableDefinition<'_, RunPiece, &[u8]> =
    TableDefinition::new("execution_output");
/// A connection's name to its row.
pub(crate) const CONNECTIONS: TableDefinition<'_, &str, &[u8]> =
    TableDefinition::new("connections");
/// The files that runs left: heads, each followed by its pieces.
pub(crate) const ARTIFACTS: TableDefinition<'_, RunPiece, &[u8]> =
    TableDefinition::new("execution_artifacts");
/// What is known of the store itself.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// How many tables there are.
pub(crate) const TABLES: usize = 19;

/// A method for each table, which opens it when it is first asked for.
macro_rules! write_tables {
    ($($name:ident: $key:ty, $value:ty = $table:ident;)*) => {
        /// The tables of one write transaction, each opened when it is needed:
        /// opening and closing one costs as much as a write or two.
        pub(crate) struct WriteTables<'txn> {
            transaction: &'txn WriteTransaction,
            $($name: Option<Table<'txn, $key, $value>>,)*
        }

        impl<'txn> WriteTables<'txn> {
            /// None of them yet.
            pub(crate) fn new(transaction: &'txn WriteTransaction) -> Self {
                Self { transaction, $($name: None,)* }
            }

            /// Opens them all, which also makes the ones that don't exist yet.
            pub(crate) fn open_all(&mut self) -> Result<(), redb::StorageError> {
                $(self.$name()?;)*
                Ok(())
            }

            $(pub(crate) fn $name(
                &mut self,
            ) -> Result<&mut Table<'txn, $key, $value>, redb::StorageError> {
                open(self.transaction, &mut self.$name, $table)
            })*
        }
    };
}

write_tables! {
    jobs: Id, &'static [u8] = JOBS;
    enabled_jobs: Id, () = ENABLED_JOBS;
    job_keys: &'static str, Id = JOB_KEYS;
    statistics: Id, &'static [u8] = STATISTICS;
    history: Id, &'static [u8] = HISTORY;
    runs_by_job: JobRun, () = RUNS_BY_JOB;
    open_runs: JobRun, () = OPEN_RUNS;
    pending_runs: JobRun, () = PENDING_RUNS;
    planned: Id, &'static PlannedRow = PLANNED;
    due: DueJob, () = DUE;
    firings: JobInstant, Id = FIRINGS;
    output: RunPiece, &'static [u8] = OUTPUT;
    open_by_key: &'static [u8], () = OPEN_BY_KEY;
    pending_by_key: &'static [u8], () = PENDING_BY_KEY;
    followers: &'static [u8], &'static [u8] = FOLLOWERS;
    predecessors: Id, &'static [u8] = PREDECESSORS;
    connections: &'static str, &'static [u8] = CONNECTIONS;
    artifacts: RunPiece, &'static [u8] = ARTIFACTS;
    meta: &'static str, &'static [u8] = META;
}

fn open<'open, 'txn, K: Key + 'static, V: Value + 'static>(
    transaction: &'txn WriteTransaction,
    table: &'open mut Option<Table<'txn, K, V>>,
    definition: TableDefinition<'_, K, V>,
) -> Result<&'open mut Table<'txn, K, V>, redb::StorageError> {
    match table {
        Some(table) => Ok(table),
        None => {
            let opened = transaction.open_table(definition);
            Ok(table.insert(opened.map_err(|error| match error {
                TableError::Storage(error) => error,
                // Another program's table of that name.
                other => redb::StorageError::Corrupted(other.to_string()),
            })?))
        }
    }
}

/// One consistent state of the store, to read from. Tables are opened as they
/// are needed.
pub(crate) struct Snapshot(ReadTransaction);

impl Snapshot {
    pub(crate) fn new(transaction: ReadTransaction) -> Self {
        Self(transaction)
    }

    pub(crate) fn jobs(&self) -> Result<ReadOnlyTable<Id, &'static [u8]>, Failure> {
        Ok(self.0.open_table(JOBS)?)
    }

    pub(crate) fn enabled_jobs(&self) -> Result<ReadOnlyTable<Id, ()>, Failure> {
        Ok(self.0.open_table(ENABLED_JOBS)?)
    }

    pub(crate) fn job_keys(&self) -> Result<ReadOnlyTable<&'static str, Id>, Failure> {
        Ok(self.0.open_table(JOB_KEYS)?)
    }

    pub(crate) fn statistics(&self) -> Result<ReadOnlyTable<Id, &'static [u8]>, Failure> {
        Ok(self.0.open_table(STATISTICS)?)
    }

    pub(crate) fn history(&self) -> Result<ReadOnlyTable<Id, &'static [u8]>, Failure> {
        Ok(self.0.open_table(HISTORY)?)
    }

    pub(crate) fn runs_by_job(&self) -> Result<ReadOnlyTable<JobRun, ()>, Failure> {
        Ok(self.0.open_table(RUNS_BY_JOB)?)
    }

    pub(crate) fn open_runs(&self) -> Result<ReadOnlyTable<JobRun, ()>, Failure> {
        Ok(self.0.open_table(OPEN_RUNS)?)
    }

    pub(crate) fn pending_runs(&self) -> Result<ReadOnlyTable<JobRun, ()>, Failure> {
        Ok(self.0.open_table(PENDING_RUNS)?)
    }

    pub(crate) fn planned(&self) -> Result<ReadOnlyTable<Id, &'static PlannedRow>, Failure> {
        Ok(self.0.open_table(PLANNED)?)
    }

    pub(crate) fn due(&self) -> Result<ReadOnlyTable<DueJob, ()>, Failure> {
        Ok(self.0.open_table(DUE)?)
    }

    pub(crate) fn firings(&self) -> Result<ReadOnlyTable<JobInstant, Id>, Failure> {
        Ok(self.0.open_table(FIRINGS)?)
    }

    pub(crate) fn output(&self) -> Result<ReadOnlyTable<RunPiece, &'static [u8]>, Failure> {
        Ok(self.0.open_table(OUTPUT)?)
    }

    pub(crate) fn open_by_key(&self) -> Result<ReadOnlyTable<&'static [u8], ()>, Failure> {
        Ok(self.0.open_table(OPEN_BY_KEY)?)
    }

    pub(crate) fn pending_by_key(&self) -> Result<ReadOnlyTable<&'static [u8], ()>, Failure> {
        Ok(self.0.open_table(PENDING_BY_KEY)?)
    }

    pub(crate) fn followers(&self) -> Result<ReadOnlyTable<&'static [u8], &'static [u8]>, Failure> {
        Ok(self.0.open_table(FOLLOWERS)?)
    }

    pub(crate) fn predecessors(&self) -> Result<ReadOnlyTable<Id, &'static [u8]>, Failure> {
        Ok(self.0.open_table(PREDECESSORS)?)
    }

    pub(crate) fn connections(
        &self,
    ) -> Result<ReadOnlyTable<&'static str, &'static [u8]>, Failure> {
        Ok(self.0.open_table(CONNECTIONS)?)
    }

    pub(crate) fn artifacts(&self) -> Result<ReadOnlyTable<RunPiece, &'static [u8]>, Failure> {
        Ok(self.0.open_table(ARTIFACTS)?)
    }

    pub(crate) fn meta(&self) -> Result<ReadOnlyTable<&'static str, &'static [u8]>, Failure> {
        Ok(self.0.open_table(META)?)
    }
}

/// The key of a run in the tables that are sorted by job.
pub(crate) fn job_run(job: JobId, run: ExecutionId) -> [u8; 32] {
    joined(*job.as_bytes(), *run.as_bytes())
}

/// The first and the last key that a job's runs can have.
pub(crate) fn runs_of(job: JobId) -> ([u8; 32], [u8; 32]) {
    (
        joined(*job.as_bytes(), [0; 16]),
        joined(*job.as_bytes(), [0xff; 16]),
    )
}

/// Takes a key of the tables that are sorted by job apart.
pub(crate) fn split_job_run(key: &[u8; 32]) -> (JobId, ExecutionId) {
    let (mut job, mut run) = ([0; 16], [0; 16]);
    job.copy_from_slice(&key[..16]);
    run.copy_from_slice(&key[16..]);
    (JobId::from_bytes(job), ExecutionId::from_bytes(run))
}

/// The key of an id in the tables that are sorted by a text. No text has a NUL
/// in it, so that none is the beginning of another's key.
pub(crate) fn named(text: &str, id: &[u8; 16]) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len() + 17);
    key.extend_from_slice(text.as_bytes());
    key.push(0);
    key.extend_from_slice(id);
    key
}

/// The first and the last key that the ids of a text can have.
pub(crate) fn names_of(text: &str) -> (Vec<u8>, Vec<u8>) {
    (named(text, &[0; 16]), named(text, &[0xff; 16]))
}

/// Takes a key of the tables that are sorted by a text apart.
pub(crate) fn split_named(key: &[u8]) -> Option<(&str, [u8; 16])> {
    let (text, id) = key.split_last_chunk()?;
    let text = text.strip_suffix(&[0])?;
    Some((std::str::from_utf8(text).ok()?, *id))
}

/// The key of a piece of a run's output.
pub(crate) fn run_piece(run: ExecutionId, number: u32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(run.as_bytes());
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Takes the key of a piece of output apart.
pub(crate) fn split_run_piece(key: &[u8; 20]) -> (ExecutionId, u32) {
    let (mut run, mut number) = ([0; 16], [0; 4]);
    run.copy_from_slice(&key[..16]);
    number.copy_from_slice(&key[16..]);
    (ExecutionId::from_bytes(run), u32::from_be_bytes(number))
}

/// The key of a job among those that are due, so that order is by time.
pub(crate) fn due_job(millis: i64, job: JobId) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&sortable(millis));
    key[8..].copy_from_slice(job.as_bytes());
    key
}

/// Takes the key of a job among those that are due apart.
pub(crate) fn split_due_job(key: &[u8; 24]) -> (i64, JobId) {
    let (mut at, mut job) = ([0; 8], [0; 16]);
    at.copy_from_slice(&key[..8]);
    job.copy_from_slice(&key[8..]);
    (unsorted(at), JobId::from_bytes(job))
}

/// The key of one instant of a job's schedule.
pub(crate) fn job_instant(job: JobId, millis: i64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(job.as_bytes());
    key[16..].copy_from_slice(&sortable(millis));
    key
}

/// Takes the key of an instant of a job's schedule apart.
pub(crate) fn split_job_instant(key: &[u8; 24]) -> (JobId, i64) {
    let (mut job, mut at) = ([0; 16], [0; 8]);
    job.copy_from_slice(&key[..16]);
    at.copy_from_slice(&key[16..]);
    (JobId::from_bytes(job), unsorted(at))
}

/// Bytes that sort as the numbers do, negative ones too.
fn sortable(millis: i64) -> [u8; 8] {
    (millis ^ i64::MIN).to_be_bytes()
}

fn unsorted(bytes: [u8; 8]) -> i64 {
    i64::from_be_bytes(bytes) ^ i64::MIN
}

fn joined(first: [u8; 16], second: [u8; 16]) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&first);
    key[16..].copy_from_slice(&second);
    key
}
