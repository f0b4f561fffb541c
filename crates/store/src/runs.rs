//! Admitting, finishing and reading runs. Never decides whether a job should
//! run, only whether its limit lets it.

use std::ops::Bound;

use jobcell_model::{Execution, ExecutionId, JobId, JobStatistics, RunOutput, RunState};
use redb::ReadableTable;

use crate::artifacts::EncodedArtifacts;
use crate::error::{AdmitError, FinishError, StorageError};
use crate::failure::Failure;
use crate::jobs;
use crate::output::{self, EncodedOutput};
use crate::pending;
use crate::places;
use crate::rows;
use crate::store::{Finish, NewRun, NewRuns, Page, RunAdmission};
use crate::tables::{Snapshot, WriteTables, job_run, runs_of, split_job_run};
use crate::writer::{Change, OpenRun, Operation, Stop};

/// Records a run as started.
pub(crate) struct AdmitRun {
    execution: Execution,
    limit: Option<u32>,
    row: Vec<u8>,
}

impl AdmitRun {
    pub(crate) fn new(admission: RunAdmission) -> Result<Self, StorageError> {
        Ok(Self {
            row: rows::encode_execution(&admission.execution)?,
            execution: admission.execution,
            limit: admission.limit,
        })
    }

    /// The oldest of the runs beside it when as many go on as the limit allows.
    fn in_its_way(
        &self,
        tables: &mut WriteTables<'_>,
    ) -> Result<Option<ExecutionId>, redb::StorageError> {
        let Some(limit) = self.limit else {
            return Ok(None);
        };
        // A limit of 0 is no way to disable a job; it allows one run as 1 does.
        let limit = limit.max(1) as usize;
        let open = places::open(tables).beside(&self.execution, limit)?;
        Ok(open.first().copied().filter(|_| open.len() >= limit))
    }
}

impl Operation for AdmitRun {
    type Reply = ();
    type Error = AdmitError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<AdmitError>> {
        let Execution {
            job_id,
            execution_id,
            job_revision,
            ..
        } = self.execution;
        match jobs::revision(tables, job_id)? {
            Some(revision) if revision == job_revision => {}
            Some(revision) => return Err(Stop::Refused(AdmitError::Changed { revision })),
            None => return Err(Stop::Refused(AdmitError::NotFound { job_id })),
        }
        if let Some(execution_id) = self.in_its_way(tables)? {
            return Err(Stop::Refused(AdmitError::Busy { execution_id }));
        }
        let key = job_run(job_id, execution_id);
        tables
            .history()?
            .insert(execution_id.as_bytes(), self.row.as_slice())?;
        tables.runs_by_job()?.insert(&key, ())?;
        places::open(tables).add(&self.execution)?;
        Ok(Change::Made(()))
    }

    fn needs_room(&self) -> bool {
        true
    }

    fn opens(&self) -> Option<OpenRun> {
        Some(OpenRun {
            job_id: self.execution.job_id,
            execution_id: self.execution.execution_id,
        })
    }
}

/// Records a run as ended.
pub(crate) struct FinishRun {
    execution: Execution,
    row: Vec<u8>,
    output: EncodedOutput,
    artifacts: EncodedArtifacts,
    then: Vec<NewRun>,
}

impl FinishRun {
    pub(crate) async fn new(finish: Finish) -> Result<Self, StorageError> {
        let row = rows::encode_execution(&finish.execution)?;
        let output = EncodedOutput::new(finish.output).await?;
        let artifacts = EncodedArtifacts::new(finish.artifacts).await?;
        Ok(Self {
            execution: finish.execution,
            row,
            output,
            artifacts,
            then: finish.then,
        })
    }

    /// The job's figures with this run in them; none when the job is gone, or
    /// the run never started and so counts for nothing.
    fn figures(&self, tables: &mut WriteTables<'_>) -> Result<Option<Vec<u8>>, Stop<FinishError>> {
        let run = &self.execution;
        if run.status == RunState::Skipped {
            return Ok(None);
        }
        let Some(row) = tables.statistics()?.get(run.job_id.as_bytes())? else {
            return Ok(None);
        };
        let mut figures = match rows::decode_statistics(row.value()) {
            Ok(figures) => figures,
            // The run's end must not wait for a repair of the figures.
            Err(error) => {
                tracing::error!(job_id = %run.job_id, %error, "a run's end is not counted");
                return Ok(None);
            }
        };
        remember_last(&mut figures, run);
        count(&mut figures, run);
        Ok(Some(rows::encode_statistics(&figures)?))
    }

    /// A commit that is reported as failed may have reached the disk all the
    /// same, so the same end is taken twice, and counted once.
    fn given_again(
        &self,
        tables: &mut WriteTables<'_>,
    ) -> Result<Change<NewRuns>, Stop<FinishError>> {
        let execution_id = self.execution.execution_id;
        let id = execution_id.as_bytes();
        let recorded = tables
            .history()?
            .get(id)?
            .is_some_and(|row| row.value() == self.row);
        if !recorded {
            return Err(Stop::Refused(FinishError::NotOpen { execution_id }));
        }
        // Writing it again makes the answer wait for a commit.
        tables.history()?.insert(id, self.row.as_slice())?;
        let mut made = NewRuns::default();
        for new in &self.then {
            pending::added_before::<Stop<_>>(tables, new, &mut made)?;
        }
        Ok(Change::Made(made))
    }
}

impl Operation for FinishRun {
    type Reply = NewRuns;
    type Error = FinishError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<NewRuns>, Stop<FinishError>> {
        let Execution {
            job_id,
            execution_id,
            ..
        } = self.execution;
        let figures = self.figures(tables)?;
        // Removing what is not there leaves no trace, so this checks and writes.
        let had_started = places::open(tables).remove(&self.execution)?;
        if !had_started && !places::pending(tables).remove(&self.execution)? {
            return self.given_again(tables);
        }
        // What never started counts for nothing.
        let figures = figures.filter(|_| had_started);
        tables
            .history()?
            .insert(execution_id.as_bytes(), self.row.as_slice())?;
        if let Some(figures) = figures {
            tables
                .statistics()?
                .insert(job_id.as_bytes(), figures.as_slice())?;
        }
        self.output.store(execution_id, tables)?;
        self.artifacts.store(execution_id, tables)?;
        let mut made = NewRuns::default();
        for new in &self.then {
            pending::add::<Stop<_>>(tables, new, &mut made)?;
        }
        Ok(Change::Made(made))
    }
}

/// Counts a run that ended among those of its job.
pub(crate) fn count(figures: &mut JobStatistics, run: &Execution) {
    figures.total_executions += 1;
    if run.status == RunState::Success {
        figures.successful_executions += 1;
    } else {
        figures.failed_executions += 1;
    }
    if let Some(seconds) = run.duration_seconds {
        figures.total_duration_seconds += seconds;
        figures.durations.add(seconds);
    }
}

/// Makes a run the latest one of its job.
pub(crate) fn remember_last(figures: &mut JobStatistics, run: &Execution) {
    figures.last_execution_id = Some(run.execution_id);
    figures.last_execution_status = Some(run.status);
    figures.last_execution_time = Some(run.start_time);
}

/// Whether a run started and ended: what was closed before it started has not.
pub(crate) fn has_run(run: &Execution) -> bool {
    let started = run.duration_seconds.is_some() || run.status == RunState::Interrupted;
    run.status.is_final() && run.status != RunState::Skipped && started
}

/// One run.
pub(crate) fn find(snapshot: &Snapshot, id: ExecutionId) -> Result<Option<Execution>, Failure> {
    match snapshot.history()?.get(id.as_bytes())? {
        Some(row) => Ok(Some(rows::decode_execution(id, row.value())?)),
        None => Ok(None),
    }
}

/// What a run wrote; none while it runs.
pub(crate) fn output(snapshot: &Snapshot, id: ExecutionId) -> Result<Option<RunOutput>, Failure> {
    if let Some(output) = output::load(snapshot, id)? {
        return Ok(Some(output));
    }
    let ended = find(snapshot, id)?.is_some_and(|run| run.status.is_final());
    Ok(ended.then(RunOutput::default))
}

/// A page of a job's runs, newest first.
pub(crate) fn page(
    snapshot: &Snapshot,
    job: JobId,
    after: Option<ExecutionId>,
    limit: usize,
) -> Result<Page<Execution>, Failure> {
    let (first, last) = runs_of(job);
    let before = after.map(|run| job_run(job, run));
    let end = before
        .as_ref()
        .map_or(Bound::Included(&last), Bound::Excluded);
    let runs = snapshot.runs_by_job()?;
    let mut ids = runs
        .range::<&[u8; 32]>((Bound::Included(&first), end))?
        .rev()
        .take(limit.saturating_add(1))
        .map(|row| Ok(split_job_run(row?.0.value()).1))
        .collect::<Result<Vec<_>, Failure>>()?;
    let more = ids.len() > limit;
    ids.truncate(limit);
    Ok(Page {
        items: load_all(snapshot, &ids)?,
        more,
    })
}

/// All runs that go on, oldest first.
pub(crate) fn open(snapshot: &Snapshot) -> Result<Vec<Execution>, Failure> {
    let mut ids = snapshot
        .open_runs()?
        .iter()?
        .map(|row| Ok(split_job_run(row?.0.value()).1))
        .collect::<Result<Vec<_>, Failure>>()?;
    ids.sort_unstable();
    load_all(snapshot, &ids)
}

pub(crate) fn load_all(
    snapshot: &Snapshot,
    ids: &[ExecutionId],
) -> Result<Vec<Execution>, Failure> {
    let history = snapshot.history()?;
    let mut runs = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(row) = history.get(id.as_bytes())? {
            runs.push(rows::decode_execution(*id, row.value())?);
        }
    }
    Ok(runs)
}
