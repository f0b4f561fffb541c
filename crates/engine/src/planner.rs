//! Claims firings when they are due, and sleeps until the next one is. Work is
//! proportional to what is due: what is stored and not due is never looked at.
//! Never starts a run; the dispatcher does.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_model::plan::{Firing, Missed};
use jobcell_model::{
    CatchUpPolicy, Concurrency, ConcurrencyPolicy, Execution, JobRef, RunState, Trigger,
};
use jobcell_store::{
    ClaimError, Claimed, DueFiring, FiringClaim, PlannedFiring, StorageError, WhenFull,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Shared;
use crate::cache::PreparedJob;
use crate::dispatch;
use crate::error::StartError;
use crate::execute;
use crate::live::CancelCause;
use crate::prepare::prepare;
use crate::runs::StartRequest;

/// How many firings are claimed side by side, so that they share commits.
const BATCH: usize = 512;
/// When a failed look at the store is made again.
const AFTER_FAILURE: TimeDelta = TimeDelta::seconds(1);
/// Up to so late a firing is on time, whatever `catchUp` says: no clock and no
/// machine is exact.
const ON_TIME: Duration = Duration::from_secs(60);
/// Who starts what is scheduled.
const SCHEDULER: &str = "scheduler";

/// Claims what is due, until `cancel`.
pub(crate) async fn run(shared: Arc<Shared>, cancel: CancellationToken) {
    loop {
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            next = claim_all(&shared) => next,
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
    let job = match prepare(&shared, &JobRef::Id(due.job_id)).await {
        Ok(job) => job,
        Err(StartError::Storage(error)) => return Err(error),
        Err(error) => return unplannable(&shared, due, &error).await,
    };
    let claim = claim_of(&shared, &job, due, now);
    match shared.store.claim_firing(claim).await {
        Ok(claimed) => hand_on(&shared, &job, claimed).await,
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
    FiringClaim {
        job_id: due.job_id,
        revision: job.record.revision,
        planned: due.planned,
        runs,
        limit: execute::limit(&job.document),
        when_full: when_full(&job.document.spec.concurrency),
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

fn when_full(concurrency: &Concurrency) -> WhenFull {
    match concurrency.policy {
        ConcurrencyPolicy::Queue => WhenFull::Queue {
            max: concurrency.queue.max,
        },
        ConcurrencyPolicy::Replace => WhenFull::Replace,
        ConcurrencyPolicy::Skip | ConcurrencyPolicy::Allow => WhenFull::Skip,
    }
}

/// What was due since, by the job's `catchUp`.
fn missed(job: &PreparedJob, planned: PlannedFiring, now: DateTime<Utc>) -> Missed {
    let Some(plan) = &job.plan else {
        return Missed::default();
    };
    let mut catch_up = job.document.spec.catch_up;
    if catch_up.policy == CatchUpPolicy::None {
        catch_up.policy = CatchUpPolicy::Latest;
        catch_up.window = ON_TIME;
    }
    catch_up.window = catch_up.window.max(ON_TIME);
    plan.missed(planned.due - TimeDelta::nanoseconds(1), now, &catch_up)
}

/// The row that accounts for firings which are not made up for.
fn passed_over(
    shared: &Shared,
    job: &PreparedJob,
    first: PlannedFiring,
    missed: &Missed,
) -> Execution {
    let policy = job.document.spec.catch_up;
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
    let request = StartRequest {
        trigger: Trigger::Scheduled,
        executed_by: SCHEDULER.to_owned(),
    };
    execute::start_record(shared, job, &request)
}

/// Gives what was claimed to the dispatcher, and ends what makes room for it.
async fn hand_on(shared: &Shared, job: &PreparedJob, claimed: Claimed) -> Result<(), StorageError> {
    for run in &claimed.skipped {
        let (id, why) = (run.execution_id, run.error_message.as_deref());
        tracing::info!(job = job.record.key, execution_id = %id, why, "a firing was skipped");
    }
    let newest = claimed.pending.last().map(|run| run.execution_id);
    // First of all, for what follows may fail.
    for execution in claimed.pending {
        shared.queue.push(job.waiting(execution));
    }
    if let Some(by) = newest {
        for id in &claimed.replaced {
            if let Some(run) = shared.live.get(*id) {
                run.cancel(CancelCause::Replaced(by));
            }
        }
        let waiting = shared
            .queue
            .take_out(|run| claimed.replaced.contains(&run.execution_id));
        let message = format!(
            "skipped because the run {by} took its place, as `concurrency.policy: replace` asks"
        );
        dispatch::close(shared, waiting, RunState::Skipped, "replaced", &message).await?;
    }
    Ok(())
}

/// A job that is stored and can't be understood any more, for instance because
/// its type is not installed: it fires no more until it is put right.
async fn unplannable(
    shared: &Shared,
    due: DueFiring,
    error: &StartError,
) -> Result<(), StorageError> {
    let job = shared.store.job(&JobRef::Id(due.job_id)).await?;
    let Some(job) = job else {
        return Ok(());
    };
    tracing::error!(job = job.record.key, %error, "a scheduled job can't be run; it fires no more until it is changed");
    let claim = FiringClaim {
        job_id: due.job_id,
        revision: job.record.revision,
        planned: due.planned,
        runs: Vec::new(),
        limit: None,
        when_full: WhenFull::Skip,
        next: None,
    };
    match shared.store.claim_firing(claim).await {
        Ok(_) | Err(ClaimError::Lost { .. }) => Ok(()),
        Err(ClaimError::Storage(error)) => Err(error),
    }
}
