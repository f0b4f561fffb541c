//! Starts runs that wait, as soon as their time has come, their job allows it
//! and there is a worker. Never decides that something fires.

use std::sync::Arc;

use chrono::TimeDelta;
use jobcell_model::{Execution, JobId, JobRef, RunOutput, RunState};
use jobcell_store::{Finish, FinishError, StorageError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use crate::Shared;
use crate::cache::PreparedJob;
use crate::error::StartError;
use crate::execute::{self, Begun, Ticket};
use crate::follow::{self, Brought};
use crate::live::{CancelCause, Listed, LiveRun, NotListed};
use crate::prepare::prepare;
use crate::queue::Waiting;
use crate::scope::Scope;
use crate::type_slots::{Taken, TypeSlot, TypeSlots};

/// When a run is tried again that could not be started because of the storage.
const AFTER_FAILURE: TimeDelta = TimeDelta::seconds(1);

/// Starts what may start, until `cancel`.
pub(crate) async fn run(shared: Arc<Shared>, cancel: CancellationToken) {
    loop {
        skip_expired(&shared).await;
        start_all(&shared);
        let wake = shared.queue.wakes_at();
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = shared.queue.changed.notified() => {}
            () = shared.clock.sleep_until(wake) => {}
        }
    }
}

async fn skip_expired(shared: &Shared) {
    let expired = shared.queue.take_expired(shared.clock.now());
    let message = "skipped because it had waited longer than `concurrency.queue.maxAge` allows";
    let closed = close(shared, expired, RunState::Skipped, "queue_age", message);
    if let Err(error) = closed.await {
        tracing::error!(%error, "runs that waited too long can't be closed; it is tried again");
    }
}

fn start_all(shared: &Arc<Shared>) {
    while let Ok(worker) = Arc::clone(&shared.workers).try_acquire_owned() {
        let Some(waiting) = shared.queue.next(shared.clock.now()) else {
            return;
        };
        let live = match Listed::add(shared, &waiting.execution) {
            Ok(live) => live,
            // Its row waits for the next start.
            Err(NotListed::Closed) => return,
            Err(NotListed::Twice) => {
                shared.queue.settle(&Scope::of(&waiting.execution));
                continue;
            }
        };
        shared
            .tasks
            .spawn(start(Arc::clone(shared), waiting, live, worker));
    }
}

/// Starts one run and stays with it to its end.
async fn start(shared: Arc<Shared>, waiting: Waiting, live: Listed, worker: OwnedSemaphorePermit) {
    let job = JobRef::Id(waiting.execution.job_id);
    // One that is kept may be stale: its start is refused then.
    let kept = shared.prepared.find(&job);
    let prepared = match kept.filter(|kept| kept.record.enabled) {
        Some(prepared) => Ok(prepared),
        None => prepare(&shared, &job).await,
    };
    match prepared {
        Ok(job) if job.record.enabled => {
            match TypeSlots::take(&shared, &job.record.job_type) {
                Ok(slot) => carry_out(&shared, job, waiting, live, slot).await,
                Err(Taken) => {
                    // Off the list before anybody may take it from the queue.
                    drop(live);
                    park(&shared, &job, waiting);
                }
            }
        }
        Ok(_) => never(&shared, waiting, "job_disabled", "its job was disabled").await,
        Err(StartError::NotFound(_)) => {
            never(&shared, waiting, "job_deleted", "its job was deleted").await;
        }
        Err(error @ StartError::Invalid { .. }) => {
            never(&shared, waiting, "job_invalid", &error.to_string()).await;
        }
        Err(error) => later(&shared, waiting, &error),
    }
    drop(worker);
    shared.queue.changed.notify_one();
}

/// Has a run wait until one of its job's type ends.
fn park(shared: &Shared, job: &PreparedJob, waiting: Waiting) {
    let job_type = &job.record.job_type;
    shared.queue.park(waiting, job_type);
    // One may have ended before it was parked, and told nobody.
    if shared.type_slots.any_left(job_type) {
        shared.queue.unpark(job_type);
    }
}

async fn carry_out(
    shared: &Arc<Shared>,
    job: Arc<PreparedJob>,
    waiting: Waiting,
    live: Listed,
    slot: TypeSlot,
) {
    let run = live.run().clone();
    let ticket = Ticket {
        execution: execute::resumed_record(shared, &job, &waiting.execution),
        live,
        slot,
        waited: true,
    };
    let (admitted, answer) = oneshot::channel();
    let (finished, _) = oneshot::channel();
    let scope = Scope::of(&waiting.execution);
    let recorded = execute::recorded(Arc::clone(shared), job, ticket, admitted, finished);
    let settled = async {
        match answer.await {
            Ok(Ok(())) | Ok(Err(Begun::Gone)) | Err(_) => {
                shared.queue.settle(&scope);
                None
            }
            Ok(Err(refused)) => Some(refused),
        }
    };
    // One that was refused is off the list of those that go on before it waits
    // again.
    let ((), refused) = tokio::join!(recorded, settled);
    if let Some(refused) = refused {
        put_back(shared, waiting, &run, refused).await;
    }
}

/// What becomes of a run that could not start now.
async fn put_back(shared: &Shared, waiting: Waiting, run: &LiveRun, refused: Begun) {
    let scope = Scope::of(&waiting.execution);
    if let Some(CancelCause::Person(by)) = run.cause() {
        let message = format!("cancelled by {by} before it started");
        return end(shared, waiting, RunState::Cancelled, "cancelled", &message).await;
    }
    match refused {
        Begun::Refused(StartError::Busy { .. }) => {
            shared.queue.block(waiting);
            // The run in its way may have ended since the store was asked.
            if !shared.live.any_started_of(&scope) {
                shared.queue.release(&scope);
            }
        }
        Begun::Refused(error) => later(shared, waiting, &error),
        Begun::Stale | Begun::Gone => {
            shared.prepared.forget(waiting.execution.job_id);
            shared.queue.push(waiting);
            shared.queue.settle(&scope);
        }
    }
}

/// Tries again in a while: a full disk or the like passes.
fn later(shared: &Shared, waiting: Waiting, error: &StartError) {
    let execution_id = waiting.execution.execution_id;
    let scope = Scope::of(&waiting.execution);
    tracing::error!(%execution_id, %error, "a run that waits can't be started yet");
    let until = shared.clock.now() + AFTER_FAILURE;
    shared.queue.put_off(waiting, until);
    shared.queue.settle(&scope);
}

async fn never(shared: &Shared, waiting: Waiting, code: &str, why: &str) {
    let message = format!("skipped because {why} before it started");
    end(shared, waiting, RunState::Skipped, code, &message).await;
}

async fn end(shared: &Shared, waiting: Waiting, status: RunState, code: &str, message: &str) {
    let scope = Scope::of(&waiting.execution);
    let closed = close(shared, vec![waiting], status, code, message);
    if let Err(error) = closed.await {
        tracing::error!(%error, "a run that will not start can't be closed; it is tried again");
    }
    shared.queue.settle(&scope);
}

/// Closes runs of a job that wait: its schedule says no more that they run.
pub(crate) async fn drop_waiting(
    shared: &Shared,
    job_id: JobId,
    code: &str,
    why: &str,
) -> Result<(), StorageError> {
    let waiting = shared.queue.take_out(|run| run.job_id == job_id);
    let message = format!("skipped because {why} before it started");
    close(shared, waiting, RunState::Skipped, code, &message).await
}

/// Records the end of runs that never started. Those whose end can't be recorded
/// go on waiting, so that nobody loses sight of them.
///
/// # Errors
/// The first failure of the storage.
pub(crate) async fn close(
    shared: &Shared,
    runs: Vec<Waiting>,
    status: RunState,
    code: &str,
    message: &str,
) -> Result<(), StorageError> {
    let now = shared.clock.now();
    let mut failed = None;
    for waiting in runs {
        let execution = Execution {
            status,
            end_time: Some(now.max(waiting.execution.start_time)),
            error_code: Some(code.to_owned()),
            error_message: Some(message.to_owned()),
            ..waiting.execution.clone()
        };
        if let Err(error) = close_one(shared, execution).await {
            shared.queue.put_off(waiting, now + AFTER_FAILURE);
            failed = failed.or(Some(error));
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn close_one(shared: &Shared, execution: Execution) -> Result<(), StorageError> {
    let brought = given_up(shared, &execution).await?;
    let id = execution.execution_id;
    let finish = Finish {
        execution,
        output: RunOutput::default(),
        artifacts: Arc::default(),
        then: brought.runs.clone(),
    };
    match shared.store.finish_run(finish).await {
        Ok(made) => {
            shared.live.never_started(id);
            // What it brings about is queued; what that replaces is tried again.
            if let Err(error) = brought.take_up(shared, made).await {
                tracing::error!(%error, "a run that is to make room can't be closed yet");
            }
            Ok(())
        }
        Err(error @ FinishError::NotOpen { .. }) => {
            shared.live.never_started(id);
            tracing::warn!(%error, "a run that waited was closed already");
            Ok(())
        }
        Err(FinishError::Storage(error)) => Err(error),
    }
}

/// What follows when a retry is given up before it starts: for the jobs that
/// follow, the run that it was to repeat has failed for good.
async fn given_up(shared: &Shared, closed: &Execution) -> Result<Brought, StorageError> {
    if !closed.is_retry {
        return Ok(Brought::default());
    }
    let failed = Execution {
        status: RunState::Failed,
        ..closed.clone()
    };
    let job = match prepare(shared, &JobRef::Id(closed.job_id)).await {
        Ok(job) => Some(job),
        Err(StartError::Storage(error)) => return Err(error),
        Err(_) => None,
    };
    let spec = job.as_ref().map(|job| &job.spec);
    follow::followers(shared, &failed, spec).await
}
