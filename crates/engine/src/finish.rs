//! Records the end of a run, however long the storage fails. Never decides how
//! the run ended.

use std::time::Duration;

use jobcell_model::{Execution, RunState};
use jobcell_store::{Finish, FinishError, StorageError};
use tokio::sync::oneshot;

use crate::Shared;
use crate::cache::PreparedJob;
use crate::dispatch;
use crate::error::RunLost;
use crate::live::{CancelCause, LiveRun};
use crate::retry;
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
    job: &PreparedJob,
    live: &LiveRun,
    outcome: RunOutcome,
    finished: oneshot::Sender<Result<RunOutcome, RunLost>>,
) {
    let execution_id = outcome.execution.execution_id;
    let spec = &job.document.spec;
    let again = retry::next_attempt(&outcome.execution, spec, shared.clock.now());
    let finish = Finish {
        execution: outcome.execution.clone(),
        output: outcome.output.clone(),
        then: again.clone().into_iter().collect(),
    };
    let mut caller = Caller {
        waits: Some(finished),
        execution_id,
    };
    let mut pause = FIRST_PAUSE;
    let mut since_stop = 0;
    for attempt in 1_u32.. {
        match shared.store.finish_run(finish.clone()).await {
            Ok(()) => {
                caller.tell(Ok(outcome));
                if let Some(execution) = again {
                    hand_on(shared, job, live, execution).await;
                }
                return;
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

/// Whoever waits for the end of a run. One that went away needs no answer.
struct Caller {
    waits: Option<oneshot::Sender<Result<RunOutcome, RunLost>>>,
    execution_id: jobcell_model::ExecutionId,
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

/// Queues the next attempt, unless somebody cancelled the run after its end was
/// decided.
async fn hand_on(shared: &Shared, job: &PreparedJob, live: &LiveRun, again: Execution) {
    let Some(CancelCause::Person(by)) = live.cause() else {
        return shared.queue.push(job.waiting(again));
    };
    let message = format!("cancelled by {by} before it started");
    let runs = vec![job.waiting(again)];
    let closed = dispatch::close(shared, runs, RunState::Cancelled, "cancelled", &message);
    if let Err(error) = closed.await {
        tracing::error!(%error, "a cancelled retry can't be closed; it waits as if it were not cancelled");
    }
}
