//! Compares rows with indexes, all of them. Never repairs anything.

mod runs;

use std::collections::HashMap;

use jobcell_model::{ExecutionId, JobId};
use redb::{ReadableTable, ReadableTableMetadata};

use crate::due;
use crate::failure::Failure;
use crate::output;
use crate::rows;
use crate::tables::{Snapshot, due_job, named, split_job_run, split_run_piece};
use crate::ties;

/// What does not fit, one sentence each.
pub(crate) fn verify(snapshot: &Snapshot) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    jobs(snapshot, &mut found)?;
    let ended = runs::verify(snapshot, &mut found)?;
    run_indexes(snapshot, &mut found)?;
    dependencies(snapshot, &mut found)?;
    plans(snapshot, &mut found)?;
    statistics(snapshot, &ended, &mut found)?;
    outputs(snapshot, &mut found)?;
    Ok(found)
}

fn jobs(snapshot: &Snapshot, found: &mut Vec<String>) -> Result<(), Failure> {
    let (jobs, keys, enabled) = (
        snapshot.jobs()?,
        snapshot.job_keys()?,
        snapshot.enabled_jobs()?,
    );
    let mut enabled_count = 0;
    for entry in jobs.iter()? {
        let (id, row) = entry?;
        let id = JobId::from_bytes(*id.value());
        let job = match rows::decode_job(id, row.value()) {
            Ok(job) => job,
            Err(error) => {
                found.push(format!("job {id}: {error}"));
                continue;
            }
        };
        let holder = keys.get(job.key.as_str())?.map(|holder| *holder.value());
        if holder != Some(*id.as_bytes()) {
            found.push(format!(
                "job {id}: its key `{}` does not lead to it",
                job.key
            ));
        }
        if enabled.get(id.as_bytes())?.is_some() != job.enabled {
            found.push(format!(
                "job {id}: the list of enabled jobs is wrong about it"
            ));
        }
        enabled_count += u64::from(job.enabled);
        if snapshot.statistics()?.get(id.as_bytes())?.is_none() {
            found.push(format!("job {id}: its statistics are missing"));
        }
    }
    // With each job found in each index, equal counts leave nothing to spare.
    expect_count(found, "job keys", keys.len()?, jobs.len()?);
    expect_count(found, "enabled jobs", enabled.len()?, enabled_count);
    expect_count(
        found,
        "job statistics",
        snapshot.statistics()?.len()?,
        jobs.len()?,
    );
    Ok(())
}

fn run_indexes(snapshot: &Snapshot, found: &mut Vec<String>) -> Result<(), Failure> {
    let history = snapshot.history()?;
    let tables = [
        snapshot.runs_by_job()?,
        snapshot.open_runs()?,
        snapshot.pending_runs()?,
    ];
    for table in tables {
        for entry in table.iter()? {
            let (job, run) = split_job_run(entry?.0.value());
            if history.get(run.as_bytes())?.is_none() {
                found.push(format!(
                    "run {run} of job {job}: an index names it, it has no row"
                ));
            }
        }
    }
    Ok(())
}

fn dependencies(snapshot: &Snapshot, found: &mut Vec<String>) -> Result<(), Failure> {
    let (followers, jobs) = (snapshot.followers()?, snapshot.jobs()?);
    let mut count = 0;
    for entry in snapshot.predecessors()?.iter()? {
        let (id, row) = entry?;
        let job = JobId::from_bytes(*id.value());
        if jobs.get(id.value())?.is_none() {
            found.push(format!("job {job}: it has predecessors, and no row"));
        }
        let predecessors = match ties::decode(row.value()) {
            Ok(predecessors) => predecessors,
            Err(error) => {
                found.push(format!("job {job}: {error}"));
                continue;
            }
        };
        count += predecessors.len() as u64;
        for (key, _) in predecessors {
            if followers.get(named(&key, id.value()).as_slice())?.is_none() {
                found.push(format!("job {job}: it is no follower of `{key}`"));
            }
        }
    }
    expect_count(found, "followers", followers.len()?, count);
    Ok(())
}

fn plans(snapshot: &Snapshot, found: &mut Vec<String>) -> Result<(), Failure> {
    let (planned, due, enabled) = (
        snapshot.planned()?,
        snapshot.due()?,
        snapshot.enabled_jobs()?,
    );
    for entry in planned.iter()? {
        let (id, row) = entry?;
        let job = JobId::from_bytes(*id.value());
        match due::decode(row.value()) {
            Ok(next) if due.get(&due_job(due::millis(next.due), job))?.is_some() => {}
            Ok(_) => found.push(format!(
                "job {job}: its next firing is not among the due ones"
            )),
            Err(error) => found.push(format!("job {job}: {error}")),
        }
        if enabled.get(id.value())?.is_none() {
            found.push(format!("job {job}: it is disabled, and has a next firing"));
        }
    }
    expect_count(found, "due jobs", due.len()?, planned.len()?);
    let history = snapshot.history()?;
    for entry in snapshot.firings()?.iter()? {
        let (_, run) = entry?;
        if history.get(run.value())?.is_none() {
            let run = ExecutionId::from_bytes(*run.value());
            found.push(format!("run {run}: a firing names it, it has no row"));
        }
    }
    Ok(())
}

/// History may be thinned out later, so there may be fewer rows than counted
/// runs, but never more.
fn statistics(
    snapshot: &Snapshot,
    ended: &HashMap<JobId, u64>,
    found: &mut Vec<String>,
) -> Result<(), Failure> {
    for entry in snapshot.statistics()?.iter()? {
        let (id, row) = entry?;
        let id = JobId::from_bytes(*id.value());
        let figures = match rows::decode_statistics(row.value()) {
            Ok(figures) => figures,
            Err(error) => {
                found.push(format!("job {id}: {error}"));
                continue;
            }
        };
        let rows = ended.get(&id).copied().unwrap_or(0);
        if figures.total_executions < rows {
            let counted = figures.total_executions;
            found.push(format!(
                "job {id}: {counted} runs are counted, but {rows} have rows"
            ));
        }
        let (good, bad) = (figures.successful_executions, figures.failed_executions);
        if good + bad != figures.total_executions {
            found.push(format!(
                "job {id}: its successes and failures do not add up"
            ));
        }
    }
    Ok(())
}

fn outputs(snapshot: &Snapshot, found: &mut Vec<String>) -> Result<(), Failure> {
    let history = snapshot.history()?;
    let mut last = None;
    for entry in snapshot.output()?.iter()? {
        let (run, _) = split_run_piece(entry?.0.value());
        if last.replace(run) == Some(run) {
            continue;
        }
        if let Err(failure) = output::load(snapshot, run) {
            let error = failure.into_storage("reading output");
            found.push(format!("run {run}: its output can't be read: {error}"));
        }
        match history.get(run.as_bytes())? {
            None => found.push(format!("run {run}: there is output of it, but no row")),
            Some(row) => {
                let ended =
                    rows::decode_execution(run, row.value()).is_ok_and(|run| run.status.is_final());
                if !ended {
                    found.push(format!("run {run}: there is output of it, but it goes on"));
                }
            }
        }
    }
    Ok(())
}

fn expect_count(found: &mut Vec<String>, what: &str, is: u64, should_be: u64) {
    if is != should_be {
        found.push(format!(
            "there are {is} {what}, but there should be {should_be}"
        ));
    }
}
