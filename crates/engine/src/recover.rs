//! Closes what an earlier process left running, and takes up what it left
//! waiting. Runs before anything else may start, so no run of this process can
//! be among them.

use std::sync::Arc;

use jobcell_model::{Execution, JobRef, RunOutput, RunState};
use jobcell_plugin_host::codes;
use jobcell_store::{Finish, FinishError, StorageError};
use tokio::task::JoinSet;

use crate::Shared;
use crate::error::StartError;
use crate::follow;
use crate::prepare::prepare;
use crate::queue::Waiting;

/// Puts every run that waits, and that nobody here knows of, where it is started
/// from.
pub(crate) async fn take_up_waiting(shared: &Shared) -> Result<(), StorageError> {
    for execution in shared.store.pending_executions().await? {
        let id = execution.execution_id;
        if shared.queue.holds(id) || shared.live.get(id).is_some() {
            continue;
        }
        let job = prepare(shared, &JobRef::Id(execution.job_id)).await;
        shared.queue.push(match job {
            Ok(job) => job.waiting(execution),
            Err(StartError::Storage(error)) => return Err(error),
            // Starting it says what is wrong.
            Err(_) => Waiting {
                execution,
                priority: 0,
                expires: None,
            },
        });
    }
    Ok(())
}

/// Records every run that was going on as interrupted, with the next attempt
/// where its job asks for one.
pub(crate) async fn close_interrupted(shared: &Arc<Shared>) -> Result<(), StorageError> {
    let open = shared.store.open_executions().await?;
    if open.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        runs = open.len(),
        "closing runs that were going on when the server ended"
    );
    // Side by side, so that they share commits.
    let mut writes = JoinSet::new();
    for execution in open {
        writes.spawn(close(Arc::clone(shared), execution));
    }
    // Each is seen through, whatever becomes of the others.
    let mut failed = None;
    while let Some(written) = writes.join_next().await {
        failed = failed.or(written.unwrap_or(Err(StorageError::Closed)).err());
    }
    failed.map_or(Ok(()), Err)
}

async fn close(shared: Arc<Shared>, mut execution: Execution) -> Result<(), StorageError> {
    // Its processes first: nobody may read that it ended while they go on.
    let ended = shared.job_types.end_leftovers(&execution).await;
    let now = shared.clock.now();
    let (status, code, message) = match ended {
        Ok(()) => (
            RunState::Interrupted,
            "interrupted",
            "the server ended while this run was going on".to_owned(),
        ),
        Err(left) => (
            RunState::Failed,
            codes::KILL_UNCONFIRMED,
            format!(
                "the server ended while this run was going on, and its processes were killed, but this is still there: {left}"
            ),
        ),
    };
    execution.status = status;
    execution.end_time = Some(now.max(execution.start_time));
    execution.error_code = Some(code.to_owned());
    execution.error_message = Some(message);
    execution.processes.traces.clear();
    let job = match prepare(&shared, &JobRef::Id(execution.job_id)).await {
        Ok(job) => Some(job),
        Err(StartError::Storage(error)) => return Err(error),
        // A job that is gone or not valid any more asks for nothing.
        Err(_) => None,
    };
    let brought = follow::after(&shared, &execution, job.as_ref()).await?;
    let finish = Finish {
        execution,
        output: RunOutput::default(),
        artifacts: Arc::default(),
        then: brought.runs.clone(),
    };
    match shared.store.finish_run(finish).await {
        Ok(made) => brought.take_up(&shared, made).await,
        Err(FinishError::NotOpen { .. }) => Ok(()),
        Err(FinishError::Storage(error)) => Err(error),
    }
}
