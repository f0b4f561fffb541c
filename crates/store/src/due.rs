//! When jobs fire next, and the claim of a firing: its record, its run and the
//! job's next instant are one write. Never computes an instant and never
//! starts a run.

use chrono::{DateTime, Utc};
use jobcell_model::{ExecutionId, JobId};
use redb::ReadableTable;

use crate::codec::{self, EDITION, corrupt};
use crate::error::{ClaimError, StorageError};
use crate::failure::Failure;
use crate::jobs;
use crate::pending;
use crate::store::{DueFiring, FiringClaim, NewRun, NewRuns, PlannedFiring};
use crate::tables::{
    Snapshot, WriteTables, due_job, job_instant, split_due_job, split_job_instant,
};
use crate::writer::{Change, Operation, Stop};

/// Sets when a job fires next, or that it does not.
pub(crate) fn plan(
    tables: &mut WriteTables<'_>,
    job: JobId,
    next: Option<PlannedFiring>,
) -> Result<(), redb::StorageError> {
    let old = tables.planned()?.remove(job.as_bytes())?.map(|row| {
        let planned = decode(row.value());
        planned.map(|planned| due_job(millis(planned.due), job))
    });
    if let Some(Ok(key)) = old {
        tables.due()?.remove(&key)?;
    }
    if let Some(next) = next {
        tables.planned()?.insert(job.as_bytes(), &encode(next))?;
        tables.due()?.insert(&due_job(millis(next.due), job), ())?;
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

    /// Writes one firing with its run; nothing when it was recorded before.
    fn fire(
        tables: &mut WriteTables<'_>,
        new: &NewRun,
        made: &mut NewRuns,
    ) -> Result<(), Stop<ClaimError>> {
        let run = &new.execution;
        if let Some(instant) = run.scheduled_time {
            let key = job_instant(run.job_id, millis(instant));
            if tables.firings()?.get(&key)?.is_some() {
                return Ok(());
            }
            tables
                .firings()?
                .insert(&key, run.execution_id.as_bytes())?;
        }
        pending::add(tables, new, made)
    }
}

impl Operation for ClaimFiring {
    type Reply = NewRuns;
    type Error = ClaimError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<NewRuns>, Stop<ClaimError>> {
        let job_id = self.claim.job_id;
        let planned = match tables.planned()?.get(job_id.as_bytes())? {
            Some(row) => Some(decode(row.value())?),
            None => None,
        };
        let revision = jobs::revision(tables, job_id)?;
        if planned != Some(self.claim.planned) || revision != Some(self.claim.revision) {
            return Err(Stop::Refused(ClaimError::Lost { job_id }));
        }
        let mut made = NewRuns::default();
        for run in &self.claim.runs {
            Self::fire(tables, run, &mut made)?;
        }
        plan(tables, job_id, self.claim.next)?;
        Ok(Change::Made(made))
    }

    fn needs_room(&self) -> bool {
        true
    }
}

/// Sets when a job fires next, unless it was changed or has fired.
pub(crate) struct Replan {
    pub(crate) job_id: JobId,
    pub(crate) revision: u64,
    pub(crate) seen: Option<DateTime<Utc>>,
    pub(crate) next: Option<PlannedFiring>,
}

impl Operation for Replan {
    type Reply = bool;
    type Error = StorageError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<bool>, Stop<StorageError>> {
        let planned = match tables.planned()?.get(self.job_id.as_bytes())? {
            Some(row) => Some(decode(row.value())?),
            None => None,
        };
        let seen = planned.map(|planned| millis(planned.nominal));
        let revision = jobs::revision(tables, self.job_id)?;
        if seen != self.seen.map(millis) || revision != Some(self.revision) {
            return Ok(Change::Nothing(false));
        }
        plan(tables, self.job_id, self.next)?;
        Ok(Change::Made(true))
    }
}

const BASIS_KEY: &str = "plan_basis";

/// Says by what the next firings are computed.
pub(crate) struct SetBasis(pub(crate) String);

impl Operation for SetBasis {
    type Reply = ();
    type Error = StorageError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<StorageError>> {
        tables.meta()?.insert(BASIS_KEY, self.0.as_bytes())?;
        Ok(Change::Made(()))
    }
}

/// By what the next firings were computed.
pub(crate) fn basis(snapshot: &Snapshot) -> Result<Option<String>, Failure> {
    let basis = snapshot.meta()?.get(BASIS_KEY)?;
    Ok(basis.map(|basis| String::from_utf8_lossy(basis.value()).into_owned()))
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

/// The latest instant of a job's schedule that was fired.
pub(crate) fn last_firing(
    snapshot: &Snapshot,
    job: JobId,
) -> Result<Option<DateTime<Utc>>, Failure> {
    let (first, last) = (job_instant(job, i64::MIN), job_instant(job, i64::MAX));
    let firings = snapshot.firings()?;
    let latest = firings.range::<&[u8; 24]>(&first..=&last)?.next_back();
    match latest {
        Some(entry) => {
            let (_, at) = split_job_instant(entry?.0.value());
            Ok(Some(instant(at)?))
        }
        None => Ok(None),
    }
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
