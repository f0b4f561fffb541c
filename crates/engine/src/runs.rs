//! Starting, awaiting and cancelling runs. The work itself is in `execute`.

use std::sync::Arc;

use jobcell_model::{Execution, ExecutionId, JobId, JobRef, Parameter, RunOutput, Trigger};
use jobcell_plugin_host::{RunObserver, RunReport};
use tokio::sync::oneshot;

use crate::Engine;
use crate::cache::PreparedJob;
use crate::error::{CancelError, RunLost, StartError};
use crate::execute::{self, Begun};
use crate::jobs::{CheckedJob, configuration_text};
use crate::live::{CancelCause, LiveRun};

/// Asks for one run.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// What makes it start.
    pub trigger: Trigger,
    /// Who asks.
    pub executed_by: String,
}

/// A run whose start is durable.
pub struct StartedRun {
    /// Its id.
    pub execution_id: ExecutionId,
    /// Its job.
    pub job_id: JobId,
    finished: oneshot::Receiver<Result<RunOutcome, RunLost>>,
}

/// A run whose end is durable.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// Its row.
    pub execution: Execution,
    /// What it wrote.
    pub output: RunOutput,
}

impl StartedRun {
    /// Waits for its end. Dropping this leaves the run alone.
    ///
    /// # Errors
    /// When its end could not be recorded.
    pub async fn finished(self) -> Result<RunOutcome, RunLost> {
        self.finished.await.unwrap_or_else(|_| {
            Err(RunLost {
                execution_id: self.execution_id,
                reason: "its task ended early".to_owned(),
            })
        })
    }
}

impl Engine {
    /// Starts a run of a stored job. Returns once its start is durable; the
    /// plugin may be at work by then, but has acted on nothing before.
    ///
    /// # Errors
    /// When the job does not exist, is disabled, busy or no longer valid, the
    /// server shuts down, or the storage fails.
    pub async fn start_run(
        &self,
        job: &JobRef,
        request: StartRequest,
    ) -> Result<StartedRun, StartError> {
        let mut prepared = match self.0.prepared.find(job) {
            Some(prepared) => prepared,
            None => self.prepare(job).await?,
        };
        loop {
            match self.begin(&prepared, &request).await {
                Ok(started) => return Ok(started),
                // The cache lags behind the store: look again, then decide.
                Err(Begun::Stale) => {
                    self.0.prepared.forget(prepared.record.job_id);
                    prepared = self.prepare(job).await?;
                }
                Err(Begun::Refused(error)) => return Err(error),
            }
        }
    }

    /// Carries out a job that is stored nowhere and recorded nowhere.
    pub async fn run_unrecorded(
        &self,
        job: &CheckedJob,
        overrides: &[Parameter],
        cancel: tokio_util::sync::CancellationToken,
        observer: Option<Arc<dyn RunObserver>>,
    ) -> RunReport {
        execute::unrecorded(&self.0, job, overrides, cancel, observer).await
    }

    /// Ends a run before its time. Its end is recorded once all of it is gone.
    ///
    /// # Errors
    /// When it is not going on here.
    pub fn cancel_run(&self, id: ExecutionId, by: &str) -> Result<(), CancelError> {
        let run = self.0.live.get(id).ok_or(CancelError::NotRunning(id))?;
        run.cancel(CancelCause::Person(by.to_owned()));
        Ok(())
    }

    /// How many runs go on here.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.live.count()
    }

    async fn begin(
        &self,
        prepared: &Arc<PreparedJob>,
        request: &StartRequest,
    ) -> Result<StartedRun, Begun> {
        if !prepared.record.enabled {
            // A job that was enabled a moment ago may still be cached as it was.
            let now = self.0.store.job(&JobRef::Id(prepared.record.job_id)).await;
            let now = now.map_err(|error| Begun::Refused(error.into()))?;
            if now.is_none_or(|job| job.record.revision != prepared.record.revision) {
                return Err(Begun::Stale);
            }
            let key = prepared.record.key.clone();
            return Err(Begun::Refused(StartError::Disabled { key }));
        }
        let execution_id = ExecutionId::generate();
        let live: LiveRun = self
            .0
            .live
            .add(execution_id)
            .ok_or(Begun::Refused(StartError::ShuttingDown))?;
        let (admitted_sender, admitted) = oneshot::channel();
        let (finished_sender, finished) = oneshot::channel();
        let task = execute::recorded(
            Arc::clone(&self.0),
            Arc::clone(prepared),
            execute::Ticket {
                execution_id,
                request: request.clone(),
                live,
            },
            admitted_sender,
            finished_sender,
        );
        self.0.tasks.spawn(task);
        admitted
            .await
            .unwrap_or(Err(Begun::Refused(StartError::ShuttingDown)))?;
        Ok(StartedRun {
            execution_id,
            job_id: prepared.record.job_id,
            finished,
        })
    }

    async fn prepare(&self, job: &JobRef) -> Result<Arc<PreparedJob>, StartError> {
        let stored = self.0.store.job(job).await?;
        let record = stored
            .ok_or_else(|| StartError::NotFound(job.clone()))?
            .record;
        let invalid = |problems| StartError::Invalid {
            key: record.key.clone(),
            problems,
        };
        let document = self.document(&record).map_err(invalid)?;
        let Some(plugin) = self.0.job_types.get(&document.spec.job_type).cloned() else {
            return Err(StartError::Invalid {
                key: record.key,
                problems: Vec::new(),
            });
        };
        let configuration = configuration_text(&document);
        let prepared = Arc::new(PreparedJob {
            record,
            document,
            configuration,
            plugin,
        });
        self.0.prepared.keep(Arc::clone(&prepared));
        Ok(prepared)
    }
}
