//! Takes over jobs and runs of another system. Never starts a run, never judges
//! what was meant: the jobs passed the same checks as any other.

use std::sync::Arc;

use jobcell_model::{JobDocument, JobRecord, Problem};
use jobcell_store::{Fed, Import, Imported, ImportedJob, JobTriggers};
use tokio::sync::mpsc;

use crate::Engine;
use crate::error::SaveJobError;

/// A job of another system.
#[derive(Debug, Clone)]
pub struct ForeignJob {
    /// Its row, with the dates that it had there.
    pub record: JobRecord,
    /// The same as understood, from [`Engine::check`].
    pub document: Arc<JobDocument>,
}

/// Jobs and runs can't be taken over. Nothing of them was.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// It can't be told when a job is to fire.
    #[error("the job `{key}` can't be planned")]
    Invalid {
        /// Its own `id`.
        key: String,
        /// What is wrong with it.
        problems: Vec<Problem>,
    },
    /// The store refuses or fails.
    #[error(transparent)]
    Store(#[from] jobcell_store::ImportError),
}

impl Engine {
    /// Takes over jobs and their runs, all in one step or not at all. What is
    /// stored already stays as it is. Firings are planned from now on, as for a
    /// job that was created now: none is made up for.
    ///
    /// # Errors
    /// When a job can't be planned, whoever brings the runs goes away, or the
    /// store refuses or fails.
    pub async fn take_over(
        &self,
        jobs: Vec<ForeignJob>,
        runs: mpsc::Receiver<Fed>,
    ) -> Result<Imported, TakeOverError> {
        let now = self.0.clock.now();
        let jobs = jobs.into_iter().map(|ForeignJob { record, document }| {
            let next = self.next_firing(&document, &record, now);
            let next = next.map_err(|error| invalid(&record, error))?;
            let after = Some(document.spec.after.clone());
            let triggers = JobTriggers { next, after };
            Ok(ImportedJob {
                job: record,
                triggers,
            })
        });
        let jobs = jobs.collect::<Result<Vec<_>, TakeOverError>>()?;
        let imported = self.0.store.import(Import { jobs, runs }).await?;
        self.0.replanned.notify_one();
        Ok(imported)
    }
}

fn invalid(record: &JobRecord, error: SaveJobError) -> TakeOverError {
    let problems = match error {
        SaveJobError::Invalid(problems) => problems,
        _ => Vec::new(),
    };
    TakeOverError::Invalid {
        key: record.key.clone(),
        problems,
    }
}
