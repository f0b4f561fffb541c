//! What a run's end brings about: the next attempt, or runs of the jobs that
//! follow. Never records or starts anything.

use std::sync::Arc;

use jobcell_model::{Execution, JobId, JobRef, JobSpec, Parameter, RunState, StoredJob, Trigger};
use jobcell_store::{NewRun, NewRuns, StorageError};

use crate::Shared;
use crate::cache::PreparedJob;
use crate::dispatch;
use crate::error::StartError;
use crate::execute;
use crate::live::CancelCause;
use crate::prepare::prepare;
use crate::retry;
use crate::runs::StartRequest;

/// What a run's end brings about, and the jobs of which that is.
#[derive(Default)]
pub(crate) struct Brought {
    pub(crate) runs: Vec<NewRun>,
    jobs: Vec<Arc<PreparedJob>>,
}

/// What the end of a run brings about: one that is tried again has not ended
/// for those that follow.
///
/// # Errors
/// When the storage fails.
pub(crate) async fn after(
    shared: &Shared,
    ended: &Execution,
    job: Option<&Arc<PreparedJob>>,
) -> Result<Brought, StorageError> {
    let now = shared.clock.now();
    if let Some(job) = job
        && let Some(execution) = retry::next_attempt(ended, &job.spec, now)
    {
        return Ok(Brought {
            runs: vec![NewRun {
                execution,
                room: None,
            }],
            jobs: vec![Arc::clone(job)],
        });
    }
    followers(shared, ended, job.map(|job| &job.spec)).await
}

/// The runs of the jobs that follow a run which is not tried again.
///
/// # Errors
/// When the storage fails.
pub(crate) async fn followers(
    shared: &Shared,
    ended: &Execution,
    spec: Option<&JobSpec>,
) -> Result<Brought, StorageError> {
    let mut brought = Brought::default();
    let handed = spec.map_or_else(
        || ended.parameters.clone(),
        |spec| execute::parameters(spec, &ended.parameters),
    );
    for follower in shared.store.followers(&ended.job_key).await? {
        if follower.on.covers(ended.status) {
            brought.add(shared, follower.job_id, ended, &handed).await?;
        }
    }
    Ok(brought)
}

impl Brought {
    async fn add(
        &mut self,
        shared: &Shared,
        job_id: JobId,
        ended: &Execution,
        handed: &[Parameter],
    ) -> Result<(), StorageError> {
        let request = StartRequest {
            trigger: Trigger::Dependency,
            executed_by: ended.executed_by.clone(),
        };
        match prepare(shared, &JobRef::Id(job_id)).await {
            Ok(job) if job.record.enabled => {
                let execution = Execution {
                    status: RunState::Pending,
                    triggered_by: Some(ended.execution_id),
                    parameters: handed_on(&job, handed),
                    ..execute::start_record(shared, &job, &request)
                };
                let room = job.room();
                self.runs.push(NewRun { execution, room });
                self.jobs.push(job);
            }
            // Disabled, or deleted a moment ago: nothing is to be started.
            Ok(_) | Err(StartError::NotFound(_)) => {}
            Err(StartError::Storage(error)) => return Err(error),
            Err(error) => {
                let stored = shared.store.job(&JobRef::Id(job_id)).await?;
                let enabled = stored.filter(|stored| stored.record.enabled);
                self.runs.extend(enabled.map(|stored| NewRun {
                    execution: Execution {
                        triggered_by: Some(ended.execution_id),
                        ..cannot_run(shared, &stored, &request, &error)
                    },
                    room: None,
                }));
            }
        }
        Ok(())
    }

    /// Queues what was recorded of it, and ends what that takes the place of.
    ///
    /// # Errors
    /// When the storage fails; what is to run is queued by then.
    pub(crate) async fn take_up(&self, shared: &Shared, made: NewRuns) -> Result<(), StorageError> {
        take_up(shared, &self.jobs, made).await
    }
}

/// The row of a run that can't be, since its job is not valid any more.
pub(crate) fn cannot_run(
    shared: &Shared,
    stored: &StoredJob,
    request: &StartRequest,
    error: &StartError,
) -> Execution {
    let job = &stored.record.key;
    tracing::error!(job, %error, "a job can't be run; its firings are skipped until it is put right");
    let mut why = error.to_string();
    if let StartError::Invalid { problems, .. } = error
        && let Some(first) = problems.first()
    {
        why = format!("{why}: {}", first.message);
    }
    let start = execute::bare_record(shared, &stored.record, request);
    Execution {
        status: RunState::Skipped,
        end_time: Some(start.start_time),
        error_code: Some("job_invalid".to_owned()),
        error_message: Some(format!("skipped because {why}")),
        ..start
    }
}

/// Of what the parent run was given, that which the job has parameters for: a
/// script fails that is given what it does not know.
fn handed_on(job: &PreparedJob, handed: &[Parameter]) -> Vec<Parameter> {
    let own = &job.spec.parameters;
    let known = |given: &&Parameter| own.iter().any(|own| own.name == given.name);
    handed.iter().filter(known).cloned().collect()
}

/// Queues runs that were recorded, and ends those that are to make room.
///
/// # Errors
/// When the storage fails; all is queued by then.
pub(crate) async fn take_up(
    shared: &Shared,
    jobs: &[Arc<PreparedJob>],
    made: NewRuns,
) -> Result<(), StorageError> {
    for run in &made.skipped {
        let (id, why) = (run.execution_id, run.error_message.as_deref());
        tracing::info!(job = run.job_key, execution_id = %id, why, "a run was skipped");
    }
    // First of all, for what follows may fail.
    for run in made.pending {
        let job = jobs.iter().find(|job| job.record.job_id == run.job_id);
        if let Some(job) = job {
            shared.queue.push(job.waiting(run));
        }
    }
    for (id, by) in made.replaced {
        if let Some(run) = shared.live.get(id) {
            run.cancel(CancelCause::Replaced(by));
        }
        let waiting = shared.queue.take_out(|run| run.execution_id == id);
        let message = format!(
            "skipped because the run {by} took its place, as `concurrency.policy: replace` asks"
        );
        // A run that is closed may itself bring about others.
        Box::pin(dispatch::close(
            shared,
            waiting,
            RunState::Skipped,
            "replaced",
            &message,
        ))
        .await?;
    }
    Ok(())
}
