//! Claims firings when they are due, and sleeps until the next one is. Work is
//! proportional to what is due: what is stored and not due is never looked at.
//! Never starts a run; the dispatcher does.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_model::plan::{Firing, Missed};
use jobcell_model::{CatchUpPolicy, Execution, JobRef, RunState, Trigger};
use jobcell_store::{ClaimError, DueFiring, FiringClaim, NewRun, PlannedFiring, StorageError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Shared;
use crate::cache::PreparedJob;
use crate::error::StartError;
use crate::execute;
use crate::follow;
use crate::prepare::prepare;
use crate::recover;
use crate::replan;
use crate::runs::StartRequest;

/// How many firings are claimed side by side, so that they share commits.
const BATCH: usize = 512;
/// When a failed look at the store is made again.
const AFTER_FAILURE: TimeDelta = TimeDelta::seconds(1);
/// Who starts what is scheduled.
const SCHEDULER: &str = "scheduler";

/// Claims what is due, until `cancel`.
pub(crate) async fn run(shared: Arc<Shared>, cancel: CancellationToken) {
    let mut state = State::Begun;
    loop {
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            next = look(&shared, &mut state) => next,
        };
        let wake = next.unwrap_or_else(|error| {
            tracing::error!(%error, "what is due can't be looked up or claimed; trying again soon");
            Some(shared.clock.now() + AFTER_FAILURE)
        });
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = shared.replanned.notified() => {}
            () = shared.clock.sleep_until(wake) => {}
        }
    }
}

/// What is to be done before the next look at what is due.
enum State {
    /// The next firings may have been computed by other rules than today's.
    Begun,
    /// A claim failed, and may have been written all the same: what it recorded
    /// is in no queue.
    InDoubt,
    /// Nothing.
    Steady,
}

async fn look(
    shared: &Arc<Shared>,
    state: &mut State,
) -> Result<Option<DateTime<Utc>>, StorageError> {
    match state {
        State::Begun => replan::where_rules_changed(shared).await?,
        State::InDoubt => recover::take_up_waiting(shared).await?,
        State::Steady => {}
    }
    *state = State::InDoubt;
    let next = claim_all(shared).await?;
    *state = State::Steady;
    Ok(next)
}

/// Claims all that is due. Returns when something is due next.
async fn claim_all(shared: &Arc<Shared>) -> Result<Option<DateTime<Utc>>, StorageError> {
    loop {
        let now = shared.clock.now();
        let due = shared.store.due_firings(now, BATCH).await?;
        if due.is_empty() {
            return shared.store.next_due().await;
        }
        let mut claims = JoinSet::new();
        for firing in due {
            claims.spawn(claim(Arc::clone(shared), firing, now));
        }
        // Each of them is seen through, whatever becomes of the others: one that
        // was written and then dropped would wait until the next start.
        let mut failed = None;
        while let Some(claimed) = claims.join_next().await {
            let claimed = claimed.unwrap_or_else(|error| {
                tracing::error!(%error, "claiming a firing failed");
                Err(StorageError::Closed)
            });
            failed = failed.or(claimed.err());
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
}

/// Claims what is due of one job.
async fn claim(
    shared: Arc<Shared>,
    due: DueFiring,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    // One that is kept may be stale: its claim is lost then.
    let id = JobRef::Id(due.job_id);
    let job = match shared.prepared.find(&id) {
        Some(job) => Ok(job),
        None => prepare(&shared, &id).await,
    };
    let job = match job {
        Ok(job) => job,
        Err(StartError::Storage(error)) => return Err(error),
        Err(error) => return unplannable(&shared, due, &error).await,
    };
    let claim = claim_of(&shared, &job, due, now);
    match shared.store.claim_firing(claim).await {
        Ok(made) => follow::take_up(&shared, &[job], made).await,
        // Changed or claimed in the meantime: whoever did it set what is next.
        Err(ClaimError::Lost { .. }) => {
            shared.prepared.forget(due.job_id);
            Ok(())
        }
        Err(ClaimError::Storage(error)) => Err(error),
    }
}

/// What a firing that is due is to become.
fn claim_of(shared: &Shared, job: &PreparedJob, due: DueFiring, now: DateTime<Utc>) -> FiringClaim {
    // What is planned is kept in whole milliseconds, so it may be a little early.
    let now = now.max(due.planned.due + TimeDelta::milliseconds(1));
    let missed = missed(job, due.planned, now);
    let mut runs = Vec::new();
    if missed.skipped_count > 0 {
        runs.push(passed_over(shared, job, due.planned, &missed));
    }
    runs.extend(missed.fire.iter().map(|firing| Execution {
        status: RunState::Pending,
        scheduled_time: Some(firing.nominal),
        ..scheduled(shared, job)
    }));
    let room = job.room();
    let runs = runs.into_iter();
    FiringClaim {
        job_id: due.job_id,
        revision: job.record.revision,
        planned: due.planned,
        runs: runs.map(|execution| NewRun { execution, room }).collect(),
        next: next_after(job, now),
    }
}

/// When a job fires next.
pub(crate) fn next_after(job: &PreparedJob, after: DateTime<Utc>) -> Option<PlannedFiring> {
    job.plan.as_ref()?.next_after(after).map(planned)
}

/// A firing as the store keeps it.
pub(crate) fn planned(firing: Firing) -> PlannedFiring {
    PlannedFiring {
        nominal: firing.nominal,
        due: firing.due,
    }
}

/// What was due since, by the job's `catchUp`.
fn missed(job: &PreparedJob, planned: PlannedFiring, now: DateTime<Utc>) -> Missed {
    let Some(plan) = &job.plan else {
        return Missed::default();
    };
    let catch_up = job.spec.catch_up.in_effect();
    plan.missed(planned.due - TimeDelta::nanoseconds(1), now, &catch_up)
}

/// The row that accounts for firings which are not made up for.
fn passed_over(
    shared: &Shared,
    job: &PreparedJob,
    first: PlannedFiring,
    missed: &Missed,
) -> Execution {
    let policy = job.spec.catch_up;
    let count = missed.skipped_count;
    let least = if missed.at_least { "at least " } else { "" };
    let word = match policy.policy {
        CatchUpPolicy::None => "none",
        CatchUpPolicy::Latest => "latest",
        CatchUpPolicy::All => "all",
    };
    let message = format!(
        "{least}{count} firings from {} on were missed while the server did not run; `catchUp` \
         (policy {word}, window {} s, max {}) makes up for {} of what was missed",
        first.nominal.to_rfc3339(),
        policy.window.as_secs(),
        policy.max,
        missed.fire.len(),
    );
    let start = scheduled(shared, job);
    Execution {
        status: RunState::Skipped,
        scheduled_time: Some(first.nominal),
        end_time: Some(start.start_time),
        error_code: Some("missed".to_owned()),
        error_message: Some(message),
        ..start
    }
}

fn scheduled(shared: &Shared, job: &PreparedJob) -> Execution {
    execute::start_record(shared, job, &by_schedule())
}

fn by_schedule() -> StartRequest {
    StartRequest {
        trigger: Trigger::Scheduled,
        executed_by: SCHEDULER.to_owned(),
    }
}

/// A job that is stored and can't be understood any more, for instance because
/// its type is not installed: it fires no more until it is put right.
async fn unplannable(
    shared: &Shared,
    due: DueFiring,
    error: &StartError,
) -> Result<(), StorageError> {
    let stored = shared.store.job(&JobRef::Id(due.job_id)).await?;
    let Some(stored) = stored else {
        return Ok(());
    };
    let execution = Execution {
        scheduled_time: Some(due.planned.nominal),
        ..follow::cannot_run(shared, &stored, &by_schedule(), error)
    };
    let claim = FiringClaim {
        job_id: due.job_id,
        revision: stored.record.revision,
        planned: due.planned,
        runs: vec![NewRun {
            execution,
            room: None,
        }],
        next: None,
    };
    match shared.store.claim_firing(claim).await {
        Ok(_) | Err(ClaimError::Lost { .. }) => Ok(()),
        Err(ClaimError::Storage(error)) => Err(error),
    }
}
