//! Records the end of a run, however long the storage fails. Never decides how
//! the run ended.

use std::sync::Arc;
use std::time::Duration;

use jobcell_model::{ExecutionId, RunState};
use jobcell_store::{Finish, FinishError, NewRuns, StorageError};
use tokio::sync::oneshot;

use crate::Shared;
use crate::cache::PreparedJob;
use crate::dispatch;
use crate::error::RunLost;
use crate::follow::{self, Brought};
use crate::live::{CancelCause, LiveRun};
use crate::runs::RunOutcome;

/// The first pause between two attempts; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After so many attempts, about a minute, whoever waits for the run is told
/// that its end is not recorded yet.
const PATIENCE: u32 = 18;
/// So many attempts are made once the server shuts down; the next start closes
/// the run.
const LAST_ATTEMPTS: u32 = 5;

/// Records the end of a run, with the next attempt where its job asks for one.
/// As long as that fails, for instance because the disk is full, the run stays
/// on the list of those that go on: nobody takes its place.
pub(crate) async fn record(
    shared: &Shared,
    job: &Arc<PreparedJob>,
    live: &LiveRun,
    outcome: RunOutcome,
    finished: oneshot::Sender<Result<RunOutcome, RunLost>>,
) {
    let execution_id = outcome.execution.execution_id;
    let mut caller = Caller {
        waits: Some(finished),
        execution_id,
    };
    let mut brought = None;
    let mut pause = FIRST_PAUSE;
    let mut since_stop = 0;
    for attempt in 1_u32.. {
        match write(shared, job, &outcome, &mut brought).await {
            Ok(made) => {
                caller.tell(Ok(outcome));
                return hand_on(shared, live, &brought.unwrap_or_default(), made).await;
            }
            Err(FinishError::NotOpen { .. }) => {
                return caller.lost("it was closed by somebody else");
            }
            Err(FinishError::Storage(StorageError::Closed)) => {
                return caller.lost("the store is closed");
            }
            Err(FinishError::Storage(error)) => {
                tracing::error!(%execution_id, attempt, %error, "the end of a run can't be recorded yet");
            }
        }
        if attempt == PATIENCE {
            caller.lost("the store fails; it is recorded as soon as that works again");
        }
        since_stop += u32::from(shared.stop.is_cancelled());
        if since_stop > LAST_ATTEMPTS {
            return caller.lost("the store failed until the server ended");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.stop.cancelled(), if since_stop == 0 => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Tries once to record the end of a run with what it brings about. The same is
/// asked for each time: a failed attempt may have been recorded all the same.
async fn write(
    shared: &Shared,
    job: &Arc<PreparedJob>,
    outcome: &RunOutcome,
    brought: &mut Option<Brought>,
) -> Result<NewRuns, FinishError> {
    let brought = match brought {
        Some(brought) => brought,
        None => brought.insert(follow::after(shared, &outcome.execution, Some(job)).await?),
    };
    let finish = Finish {
        execution: outcome.execution.clone(),
        output: outcome.output.clone(),
        artifacts: Arc::clone(&outcome.artifacts),
        then: brought.runs.clone(),
    };
    shared.store.finish_run(finish).await
}

/// Whoever waits for the end of a run. One that went away needs no answer.
struct Caller {
    waits: Option<oneshot::Sender<Result<RunOutcome, RunLost>>>,
    execution_id: ExecutionId,
}

impl Caller {
    fn tell(&mut self, answer: Result<RunOutcome, RunLost>) {
        if let Some(waits) = self.waits.take() {
            drop(waits.send(answer));
        }
    }

    fn lost(&mut self, reason: &str) {
        self.tell(Err(RunLost {
            execution_id: self.execution_id,
            reason: reason.to_owned(),
        }));
    }
}

/// Queues what the end brought about. The next attempt does not start when
/// somebody cancelled the run after its end was decided.
async fn hand_on(shared: &Shared, live: &LiveRun, brought: &Brought, made: NewRuns) {
    let retries: Vec<ExecutionId> = made
        .pending
        .iter()
        .filter(|run| run.is_retry)
        .map(|run| run.execution_id)
        .collect();
    if let Err(error) = brought.take_up(shared, made).await {
        tracing::error!(%error, "a run that is to make room can't be closed yet");
    }
    let Some(CancelCause::Person(by)) = live.cause() else {
        return;
    };
    let waiting = shared
        .queue
        .take_out(|run| retries.contains(&run.execution_id));
    let message = format!("cancelled by {by} before it started");
    let closed = dispatch::close(shared, waiting, RunState::Cancelled, "cancelled", &message);
    if let Err(error) = closed.await {
        tracing::error!(%error, "a cancelled retry can't be closed; it waits as if it were not cancelled");
    }
}
