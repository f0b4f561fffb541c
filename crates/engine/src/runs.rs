//! Starting, awaiting and cancelling runs. The work itself is in `execute`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jobcell_model::plan::{Firing, Span};

use jobcell_model::{
    Artifact, Execution, ExecutionId, JobId, JobRef, Parameter, RunOutput, RunState, Trigger,
};
use jobcell_plugin_host::{RunObserver, RunReport};
use jobcell_store::StorageError;
use tokio::sync::oneshot;

use crate::Engine;
use crate::cache::PreparedJob;
use crate::dispatch;
use crate::error::{CancelError, RunLost, StartError};
use crate::execute::{self, Begun};
use crate::jobs::CheckedJob;
use crate::live::{CancelCause, Listed};
use crate::prepare::prepare;
use crate::type_slots::{Taken, TypeSlots};

/// How often a run is looked for that waits and is on no list yet.
const ON_THE_WAY: usize = 1000;

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
    /// The files that it left.
    pub artifacts: Arc<Vec<Artifact>>,
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
            None => prepare(&self.0, job).await?,
        };
        loop {
            match self.begin(&prepared, &request).await {
                Ok(started) => return Ok(started),
                // The cache lags behind the store: look again, then decide.
                Err(Begun::Stale | Begun::Gone) => {
                    self.0.prepared.forget(prepared.record.job_id);
                    prepared = prepare(&self.0, job).await?;
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
    /// One that waits never starts, nor does a retry that waits for it.
    ///
    /// # Errors
    /// When it neither goes on here nor waits, or the storage fails.
    pub async fn cancel_run(&self, id: ExecutionId, by: &str) -> Result<(), CancelError> {
        let concerned =
            |run: &Execution| run.execution_id == id || run.parent_execution_id == Some(id);
        let mut asked = false;
        for _ in 0..ON_THE_WAY {
            let waiting = self.0.queue.take_out(concerned);
            if !waiting.is_empty() {
                let message = format!("cancelled by {by} before it started");
                let (status, code) = (RunState::Cancelled, "cancelled");
                dispatch::close(&self.0, waiting, status, code, &message).await?;
                return Ok(());
            }
            if let Some(run) = self.0.live.get(id) {
                // For a moment it is listed though its end is recorded.
                if !self.has_ended(id).await || self.any_pending(concerned).await? {
                    run.cancel(CancelCause::Person(by.to_owned()));
                    asked = true;
                }
                if !self.has_ended(id).await {
                    // Whoever records its end sees by whom it was cancelled.
                    return Ok(());
                }
            }
            // It may be on its way from one list to the other.
            if !self.any_pending(concerned).await? {
                break;
            }
            tokio::task::yield_now().await;
        }
        if asked {
            return Ok(());
        }
        Err(CancelError::NotRunning(id))
    }

    /// Whether the end of a run is recorded. One that can't be looked at goes on: it
    /// has to end all the more.
    async fn has_ended(&self, id: ExecutionId) -> bool {
        let recorded = self.0.store.execution(id).await.ok().flatten();
        recorded.is_some_and(|run| run.status.is_final())
    }

    async fn any_pending(
        &self,
        concerned: impl Fn(&Execution) -> bool,
    ) -> Result<bool, StorageError> {
        let pending = self.0.store.pending_executions().await?;
        Ok(pending.iter().any(concerned))
    }

    /// When a stored job fires in a span of time, enabled or not, with what keeps
    /// it from that; none without a schedule.
    ///
    /// # Errors
    /// When there is no such job, it is not valid any more, or the storage fails.
    pub async fn preview(
        &self,
        job: &JobRef,
        span: Span,
        count: usize,
    ) -> Result<Option<Vec<Firing>>, StartError> {
        let prepared = prepare(&self.0, job).await?;
        Ok(prepared.plan.as_ref().map(|plan| {
            let policy = prepared.spec.catch_up;
            plan.forecast(span, &policy).take(count).collect()
        }))
    }

    /// The present instant, by the engine's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// How many runs go on here.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.live.count()
    }

    /// How many runs wait to be started.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.queue.len()
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
        let execution = execute::start_record(&self.0, prepared, request);
        let execution_id = execution.execution_id;
        let slot = TypeSlots::take(&self.0, &execution.job_type).map_err(|Taken| {
            let job_type = execution.job_type.clone();
            Begun::Refused(StartError::TypeBusy { job_type })
        })?;
        let live = Listed::add(&self.0, &execution)
            .map_err(|_| Begun::Refused(StartError::ShuttingDown))?;
        let (admitted_sender, admitted) = oneshot::channel();
        let (finished_sender, finished) = oneshot::channel();
        let task = execute::recorded(
            Arc::clone(&self.0),
            Arc::clone(prepared),
            execute::Ticket {
                execution,
                live,
                slot,
                waited: false,
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
}
