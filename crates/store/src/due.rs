//! When jobs fire next, and the claim of a firing: its record, its run and the
//! job's next instant are one write. Never computes an instant and never
//! starts a run.

use chrono::{DateTime, Utc};
use jobcell_model::{Execution, ExecutionId, JobId, RunState};
use redb::ReadableTable;

use crate::codec::{self, EDITION, corrupt};
use crate::error::{ClaimError, StorageError};
use crate::failure::Failure;
use crate::jobs;
use crate::pending;
use crate::rows;
use crate::store::{Claimed, DueFiring, FiringClaim, PlannedFiring, WhenFull};
use crate::tables::{Snapshot, WriteTables, due_job, job_instant, job_run, split_due_job};
use crate::writer::{Change, Operation, Stop};

/// What a run says that was one too many.
pub(crate) const LIMIT_REACHED: &str = "concurrency_limit";
/// What a run says that found the queue full.
pub(crate) const QUEUE_FULL: &str = "queue_full";

/// Sets when a job fires next, or that it does not.
pub(crate) fn plan(
    tables: &mut WriteTables<'_>,
    job: JobId,
    next: Option<PlannedFiring>,
) -> Result<(), redb::StorageError> {
    let old = tables.planned.remove(job.as_bytes())?.map(|row| {
        let planned = decode(row.value());
        planned.map(|planned| due_job(millis(planned.due), job))
    });
    if let Some(Ok(key)) = old {
        tables.due.remove(&key)?;
    }
    if let Some(next) = next {
        tables.planned.insert(job.as_bytes(), &encode(next))?;
        tables.due.insert(&due_job(millis(next.due), job), ())?;
    }
    Ok(())
}

/// Claims what is due of one job.
pub(crate) struct ClaimFiring {
    claim: FiringClaim,
}

impl ClaimFiring {
    pub(crate) const fn new(claim: FiringClaim) -> Self {
        Self { claim }
    }

    /// Writes one firing with its run. None when it was recorded before.
    fn fire(
        &self,
        tables: &mut WriteTables<'_>,
        run: &Execution,
        claimed: &mut Claimed,
    ) -> Result<(), Stop<ClaimError>> {
        let mut run = run.clone();
        if let Some(instant) = run.scheduled_time {
            let key = job_instant(run.job_id, millis(instant));
            if tables.firings.get(&key)?.is_some() {
                return Ok(());
            }
            tables.firings.insert(&key, run.execution_id.as_bytes())?;
        }
        if run.status == RunState::Pending {
            self.admit(tables, &mut run, claimed)?;
        }
        let id = run.execution_id;
        let row = rows::encode_execution(&run)?;
        tables.history.insert(id.as_bytes(), row.as_slice())?;
        let key = job_run(run.job_id, id);
        tables.runs_by_job.insert(&key, ())?;
        if run.status == RunState::Pending {
            tables.pending_runs.insert(&key, ())?;
            claimed.pending.push(run);
        } else {
            claimed.skipped.push(run);
        }
        Ok(())
    }

    /// Decides what becomes of a run when its job has as many as it may.
    fn admit(
        &self,
        tables: &mut WriteTables<'_>,
        run: &mut Execution,
        claimed: &mut Claimed,
    ) -> Result<(), Stop<ClaimError>> {
        let Some(limit) = self.claim.limit else {
            return Ok(());
        };
        let running = pending::of_job(&tables.open_runs, run.job_id)?;
        let waiting = pending::of_job(&tables.pending_runs, run.job_id)?;
        if running.len() + waiting.len() < limit.max(1) as usize {
            return Ok(());
        }
        match self.claim.when_full {
            WhenFull::Skip => {
                let first = running.first().or(waiting.first()).copied();
                skip(run, LIMIT_REACHED, first, |by| {
                    format!(
                        "skipped because the run {by} was still going on and `concurrency.limit` allows no more"
                    )
                });
            }
            WhenFull::Queue { max } if waiting.len() >= max as usize => {
                skip(run, QUEUE_FULL, waiting.first().copied(), |by| {
                    format!(
                        "skipped because {} runs of the job were waiting already, the first of them {by}, and `concurrency.queue.max` allows no more",
                        waiting.len()
                    )
                });
            }
            WhenFull::Queue { .. } => {}
            WhenFull::Replace => claimed.replaced.extend(running.iter().chain(&waiting)),
        }
        Ok(())
    }
}

fn skip(
    run: &mut Execution,
    code: &str,
    by: Option<ExecutionId>,
    message: impl FnOnce(String) -> String,
) {
    run.status = RunState::Skipped;
    run.end_time = Some(run.start_time);
    run.error_code = Some(code.to_owned());
    run.error_message = Some(message(by.map(|id| id.to_string()).unwrap_or_default()));
    run.blocked_by = by;
}

impl Operation for ClaimFiring {
    type Reply = Claimed;
    type Error = ClaimError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<Claimed>, Stop<ClaimError>> {
        let job_id = self.claim.job_id;
        let planned = match tables.planned.get(job_id.as_bytes())? {
            Some(row) => Some(decode(row.value())?),
            None => None,
        };
        let revision = jobs::revision(tables, job_id)?;
        if planned != Some(self.claim.planned) || revision != Some(self.claim.revision) {
            return Err(Stop::Refused(ClaimError::Lost { job_id }));
        }
        let mut claimed = Claimed::default();
        for run in &self.claim.runs {
            self.fire(tables, run, &mut claimed)?;
        }
        plan(tables, job_id, self.claim.next)?;
        Ok(Change::Made(claimed))
    }

    fn needs_room(&self) -> bool {
        true
    }
}

/// The firings that are due at `now`, the longest overdue first.
pub(crate) fn due(
    snapshot: &Snapshot,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<DueFiring>, Failure> {
    let end = due_job(millis(now).saturating_add(1), JobId::from_bytes([0; 16]));
    let planned = snapshot.planned()?;
    let mut found = Vec::new();
    for entry in snapshot.due()?.range::<&[u8; 24]>(..&end)?.take(limit) {
        let (_, job_id) = split_due_job(entry?.0.value());
        let row = planned.get(job_id.as_bytes())?;
        let row = row.ok_or_else(|| corrupt("schedule", "an index names a job without a plan"))?;
        let planned = decode(row.value())?;
        found.push(DueFiring { job_id, planned });
    }
    Ok(found)
}

/// When the next firing is due.
pub(crate) fn next_due(snapshot: &Snapshot) -> Result<Option<DateTime<Utc>>, Failure> {
    match snapshot.due()?.first()? {
        Some((key, _)) => {
            let (at, _) = split_due_job(key.value());
            Ok(Some(instant(at)?))
        }
        None => Ok(None),
    }
}

/// When one job fires next.
pub(crate) fn of_job(snapshot: &Snapshot, job: JobId) -> Result<Option<PlannedFiring>, Failure> {
    match snapshot.planned()?.get(job.as_bytes())? {
        Some(row) => Ok(Some(decode(row.value())?)),
        None => Ok(None),
    }
}

/// The execution that a firing became.
pub(crate) fn firing(
    snapshot: &Snapshot,
    job: JobId,
    nominal: DateTime<Utc>,
) -> Result<Option<ExecutionId>, Failure> {
    let found = snapshot
        .firings()?
        .get(&job_instant(job, millis(nominal)))?;
    Ok(found.map(|id| ExecutionId::from_bytes(*id.value())))
}

/// An instant as it is kept here: whole milliseconds.
pub(crate) fn millis(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

fn instant(millis: i64) -> Result<DateTime<Utc>, StorageError> {
    DateTime::from_timestamp_millis(millis)
        .ok_or_else(|| corrupt("schedule", format!("there is no instant {millis} ms")))
}

/// The edition, when it is due, and the instant that it stands for.
pub(crate) type PlannedRow = [u8; 17];

fn encode(planned: PlannedFiring) -> PlannedRow {
    let mut row = [EDITION; 17];
    row[1..9].copy_from_slice(&millis(planned.due).to_be_bytes());
    row[9..].copy_from_slice(&millis(planned.nominal).to_be_bytes());
    row
}

pub(crate) fn decode(row: &PlannedRow) -> Result<PlannedFiring, StorageError> {
    codec::after_edition("schedule", row)?;
    let (mut due, mut nominal) = ([0; 8], [0; 8]);
    due.copy_from_slice(&row[1..9]);
    nominal.copy_from_slice(&row[9..]);
    Ok(PlannedFiring {
        due: instant(i64::from_be_bytes(due))?,
        nominal: instant(i64::from_be_bytes(nominal))?,
    })
}
