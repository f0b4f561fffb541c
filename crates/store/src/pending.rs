//! Runs that wait: recorded, not started. Never decides which of them is next.

use jobcell_model::{Execution, ExecutionId, RunState};
use redb::ReadableTable;

use crate::error::{StartError, StorageError};
use crate::failure::Failure;
use crate::jobs;
use crate::places;
use crate::rows;
use crate::runs;
use crate::store::{NewRun, NewRuns, Room, WhenFull};
use crate::tables::{Snapshot, WriteTables, job_run, split_job_run};
use crate::writer::{Change, Operation, Stop};

/// What a run says that was one too many.
const LIMIT_REACHED: &str = "concurrency_limit";
/// What a run says that found the queue full.
const QUEUE_FULL: &str = "queue_full";

/// All runs that wait, oldest first.
pub(crate) fn all(snapshot: &Snapshot) -> Result<Vec<Execution>, Failure> {
    let mut ids = snapshot
        .pending_runs()?
        .iter()?
        .map(|row| Ok(split_job_run(row?.0.value()).1))
        .collect::<Result<Vec<_>, Failure>>()?;
    ids.sort_unstable();
    runs::load_all(snapshot, &ids)
}

/// Records a new run as part of another write: as one that waits, or as skipped
/// when there is no room for it.
pub(crate) fn add<E: From<redb::StorageError> + From<StorageError>>(
    tables: &mut WriteTables<'_>,
    new: &NewRun,
    made: &mut NewRuns,
) -> Result<(), E> {
    let mut run = new.execution.clone();
    if let Some(room) = new.room.filter(|_| run.status == RunState::Pending) {
        find_room(tables, &mut run, room, made)?;
    }
    let row = rows::encode_execution(&run)?;
    let id = run.execution_id.as_bytes();
    tables.history()?.insert(id, row.as_slice())?;
    let key = job_run(run.job_id, run.execution_id);
    tables.runs_by_job()?.insert(&key, ())?;
    if run.status == RunState::Pending {
        places::pending(tables).add(&run)?;
        made.pending.push(run);
    } else {
        made.skipped.push(run);
    }
    Ok(())
}

/// What became of a run that was recorded before, by a commit that was reported
/// as failed.
pub(crate) fn added_before<E: From<redb::StorageError> + From<StorageError>>(
    tables: &mut WriteTables<'_>,
    new: &NewRun,
    made: &mut NewRuns,
) -> Result<(), E> {
    let id = new.execution.execution_id;
    let row = tables.history()?.get(id.as_bytes())?;
    let Some(run) = row.map(|row| rows::decode_execution(id, row.value())) else {
        return Ok(());
    };
    let run = run?;
    match run.status {
        RunState::Pending => {
            if let Some(room) = new.room.filter(|room| room.when_full == WhenFull::Replace) {
                let mut others = Vec::new();
                let most = room.limit.max(1) as usize;
                others.extend(places::open(tables).beside(&run, usize::MAX)?);
                others.extend(places::pending(tables).beside(&run, usize::MAX)?);
                let excess = others.len().saturating_sub(most);
                let others = others.into_iter().filter(|other| *other != id);
                made.replaced
                    .extend(others.take(excess).map(|other| (other, id)));
            }
            made.pending.push(run);
        }
        _ => made.skipped.push(run),
    }
    Ok(())
}

/// Decides what becomes of a run when there are as many beside it as may be.
fn find_room(
    tables: &mut WriteTables<'_>,
    run: &mut Execution,
    room: Room,
    made: &mut NewRuns,
) -> Result<(), redb::StorageError> {
    let running = places::open(tables).beside(run, usize::MAX)?;
    let waiting = places::pending(tables).beside(run, usize::MAX)?;
    let limit = room.limit.max(1) as usize;
    if running.len() + waiting.len() < limit {
        return Ok(());
    }
    let of = match &run.concurrency_key {
        Some(key) => format!("the limit of the key `{key}`"),
        None => "`concurrency.limit`".to_owned(),
    };
    match room.when_full {
        WhenFull::Skip => {
            let first = running.first().or(waiting.first()).copied();
            skip(run, LIMIT_REACHED, first, |by| {
                format!("skipped because the run {by} was still going on and {of} allows no more")
            });
        }
        WhenFull::Queue { max } if waiting.len() >= max as usize => {
            skip(run, QUEUE_FULL, waiting.first().copied(), |by| {
                format!(
                    "skipped because {} runs were waiting already, the first of them {by}, and `concurrency.queue.max` allows no more",
                    waiting.len()
                )
            });
        }
        WhenFull::Queue { .. } => {}
        WhenFull::Replace => {
            // As many of the oldest as are too many.
            let excess = running.len() + waiting.len() + 1 - limit;
            let others = running.into_iter().chain(waiting);
            let by = run.execution_id;
            made.replaced
                .extend(others.take(excess).map(|other| (other, by)));
        }
    }
    Ok(())
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

/// Starts a run that waits.
pub(crate) struct StartPending {
    execution: Execution,
    limit: Option<u32>,
    row: Vec<u8>,
}

impl StartPending {
    pub(crate) fn new(execution: Execution, limit: Option<u32>) -> Result<Self, StorageError> {
        let row = rows::encode_execution(&execution)?;
        Ok(Self {
            execution,
            limit,
            row,
        })
    }

    /// A commit that is reported as failed may have reached the disk all the
    /// same, so the same run may ask twice for its start.
    fn given_again(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<StartError>> {
        let execution_id = self.execution.execution_id;
        if !places::open(tables).holds(&self.execution)? {
            return Err(Stop::Refused(StartError::NotPending { execution_id }));
        }
        tables
            .history()?
            .insert(execution_id.as_bytes(), self.row.as_slice())?;
        Ok(Change::Made(()))
    }
}

impl Operation for StartPending {
    type Reply = ();
    type Error = StartError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<StartError>> {
        if !places::pending(tables).holds(&self.execution)? {
            return self.given_again(tables);
        }
        let Execution {
            job_id,
            job_revision,
            execution_id,
            ..
        } = self.execution;
        if jobs::revision(tables, job_id)? != Some(job_revision) {
            return Err(Stop::Refused(StartError::Changed { execution_id }));
        }
        if let Some(limit) = self.limit {
            let limit = limit.max(1) as usize;
            let running = places::open(tables).beside(&self.execution, limit)?;
            if let Some(oldest) = running.first()
                && running.len() >= limit
            {
                let execution_id = *oldest;
                return Err(Stop::Refused(StartError::Busy { execution_id }));
            }
        }
        places::pending(tables).remove(&self.execution)?;
        places::open(tables).add(&self.execution)?;
        tables
            .history()?
            .insert(self.execution.execution_id.as_bytes(), self.row.as_slice())?;
        Ok(Change::Made(()))
    }

    fn needs_room(&self) -> bool {
        true
    }
}
