//! Takes over jobs and runs of another system: all of them in one transaction,
//! or none. Never replaces what is there already, so that doing it again
//! changes nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jobcell_model::{
    ConnectionRecord, Execution, ExecutionId, JobId, JobRecord, JobStatistics, RunOutput, RunState,
};
use redb::ReadableTable;
use tokio::sync::mpsc;

use crate::connections::PutConnection;
use crate::error::{CreateJobError, ImportError, PutConnectionError, StorageError};
use crate::jobs::CreateJob;
use crate::output;
use crate::rows;
use crate::runs;
use crate::store::JobTriggers;
use crate::tables::{WriteTables, job_run, runs_of, split_job_run};
use crate::writer::{Change, Operation, Stop};

/// What is to be taken over. The store's writer waits for the runs, so nothing
/// else is written meanwhile.
#[derive(Debug)]
pub struct Import {
    /// The connections to databases.
    pub connections: Vec<ConnectionRecord>,
    /// The jobs, in the order in which they are added.
    pub jobs: Vec<ImportedJob>,
    /// Their runs, in any order. They come one by one, so that they never have
    /// to lie in memory together.
    pub runs: mpsc::Receiver<Fed>,
}

/// A job that is taken over.
#[derive(Debug, Clone)]
pub struct ImportedJob {
    /// Its row.
    pub job: JobRecord,
    /// What makes it start by itself.
    pub triggers: JobTriggers,
}

/// A run that is taken over.
#[derive(Debug, Clone)]
pub struct ImportedRun {
    /// Its row, in a final state.
    pub execution: Execution,
    /// What it wrote.
    pub output: RunOutput,
}

/// What comes through the channel of an import.
#[derive(Debug)]
pub enum Fed {
    /// One more run.
    Run(Box<ImportedRun>),
    /// That was all. Whoever goes away without it has failed, and undoes the
    /// import.
    End,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The connections that were added; the others were there already.
    pub connections: Vec<String>,
    /// The jobs that were added; the others were there already.
    pub jobs: Vec<JobId>,
    /// How many runs were added.
    pub runs: u64,
    /// How many were there already.
    pub runs_present: u64,
}

/// Takes over jobs and runs.
pub(crate) struct TakeOver {
    connections: Vec<PutConnection>,
    jobs: Vec<CreateJob>,
    /// Gone once they were read: they come only once.
    runs: Mutex<Option<mpsc::Receiver<Fed>>>,
}

impl TakeOver {
    pub(crate) fn new(import: Import) -> Result<Self, StorageError> {
        let connections = import.connections.iter();
        let connections = connections.map(|record| PutConnection::new(record, None));
        let jobs = import.jobs.into_iter();
        let jobs = jobs.map(|one| CreateJob::new(one.job, one.triggers));
        Ok(Self {
            connections: connections.collect::<Result<_, _>>()?,
            jobs: jobs.collect::<Result<_, _>>()?,
            runs: Mutex::new(Some(import.runs)),
        })
    }
}

impl Operation for TakeOver {
    type Reply = Imported;
    type Error = ImportError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<Imported>, Stop<ImportError>> {
        let runs = self.runs.lock();
        let runs = runs.unwrap_or_else(PoisonError::into_inner).take();
        let mut runs = runs.ok_or(Stop::Refused(ImportError::Disturbed))?;
        let mut figures = Figures::default();
        let mut imported = Imported::default();
        for connection in &self.connections {
            if add_connection(tables, connection)? {
                imported.connections.push(connection.name().to_owned());
            }
        }
        for job in &self.jobs {
            if add_job(tables, job, &mut figures)? {
                imported.jobs.push(job.job_id());
            }
        }
        loop {
            match runs.blocking_recv() {
                Some(Fed::Run(run)) => match add_run(tables, *run, &mut figures)? {
                    true => imported.runs += 1,
                    false => imported.runs_present += 1,
                },
                Some(Fed::End) => break,
                None => return Err(Stop::Undo(ImportError::Unfinished)),
            }
        }
        figures.store(tables)?;
        let nothing = imported.jobs.is_empty() && imported.connections.is_empty();
        if nothing && imported.runs == 0 {
            return Ok(Change::Nothing(imported));
        }
        Ok(Change::Made(imported))
    }

    fn needs_room(&self) -> bool {
        true
    }
}

/// False when one of its name is there already.
fn add_connection(
    tables: &mut WriteTables<'_>,
    connection: &PutConnection,
) -> Result<bool, Stop<ImportError>> {
    match connection.apply(tables) {
        Ok(_) => Ok(true),
        Err(Stop::Refused(PutConnectionError::Exists { .. })) => Ok(false),
        Err(Stop::Refused(error) | Stop::Undo(error)) => {
            Err(Stop::Undo(ImportError::Connection(error)))
        }
        Err(Stop::Failed(error)) => Err(Stop::Failed(error)),
    }
}

/// False when it is there already.
fn add_job(
    tables: &mut WriteTables<'_>,
    job: &CreateJob,
    figures: &mut Figures,
) -> Result<bool, Stop<ImportError>> {
    let job_id = job.job_id();
    if tables.jobs()?.get(job_id.as_bytes())?.is_some() {
        return Ok(false);
    }
    match job.apply(tables) {
        Ok(_) => {}
        Err(Stop::Refused(error) | Stop::Undo(error)) => {
            return Err(Stop::Undo(match error {
                CreateJobError::Storage(error) => error.into(),
                other => ImportError::Job(other),
            }));
        }
        Err(Stop::Failed(error)) => return Err(Stop::Failed(error)),
    }
    figures.recall(tables, job_id)?;
    Ok(true)
}

/// False when it is there already.
fn add_run(
    tables: &mut WriteTables<'_>,
    run: ImportedRun,
    figures: &mut Figures,
) -> Result<bool, Stop<ImportError>> {
    let ImportedRun { execution, output } = run;
    let execution_id = execution.execution_id;
    if !execution.status.is_final() {
        return Err(Stop::Undo(ImportError::NotEnded { execution_id }));
    }
    let id = execution_id.as_bytes();
    if tables.history()?.get(id)?.is_some() {
        return Ok(false);
    }
    let row = rows::encode_execution(&execution).map_err(undo)?;
    tables.history()?.insert(id, row.as_slice())?;
    let key = job_run(execution.job_id, execution_id);
    tables.runs_by_job()?.insert(&key, ())?;
    let output = output::encode(&output).map_err(undo)?;
    output.store(execution_id, tables)?;
    figures.add(tables, &execution)?;
    Ok(true)
}

fn undo(error: StorageError) -> Stop<ImportError> {
    Stop::Undo(error.into())
}

/// The figures of the jobs whose runs were added; none for a job that is gone.
#[derive(Default)]
struct Figures(HashMap<JobId, Option<JobStatistics>>);

impl Figures {
    /// Counts the runs of a job that was here before, and was deleted.
    fn recall(
        &mut self,
        tables: &mut WriteTables<'_>,
        job_id: JobId,
    ) -> Result<(), Stop<ImportError>> {
        let (first, last) = runs_of(job_id);
        let mut ids: Vec<ExecutionId> = Vec::new();
        for entry in tables.runs_by_job()?.range::<&[u8; 32]>(&first..=&last)? {
            ids.push(split_job_run(entry?.0.value()).1);
        }
        for id in ids {
            let Some(row) = tables.history()?.get(id.as_bytes())?.map(|row| {
                let run = rows::decode_execution(id, row.value());
                run.map_err(undo)
            }) else {
                continue;
            };
            let run = row?;
            if runs::has_run(&run) {
                self.add(tables, &run)?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        tables: &mut WriteTables<'_>,
        run: &Execution,
    ) -> Result<(), Stop<ImportError>> {
        if run.status == RunState::Skipped {
            return Ok(());
        }
        let figures = match self.0.entry(run.job_id) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let row = tables.statistics()?.get(run.job_id.as_bytes())?;
                let figures = row.map(|row| rows::decode_statistics(row.value()));
                entry.insert(figures.transpose().map_err(undo)?)
            }
        };
        if let Some(figures) = figures {
            runs::count(figures, run);
            if figures
                .last_execution_time
                .is_none_or(|last| last <= run.start_time)
            {
                runs::remember_last(figures, run);
            }
        }
        Ok(())
    }

    fn store(self, tables: &mut WriteTables<'_>) -> Result<(), Stop<ImportError>> {
        for (job_id, figures) in self.0 {
            if let Some(figures) = figures {
                let row = rows::encode_statistics(&figures).map_err(undo)?;
                tables
                    .statistics()?
                    .insert(job_id.as_bytes(), row.as_slice())?;
            }
        }
        Ok(())
    }
}
