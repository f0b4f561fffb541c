//! Compares runs with the lists that they stand on. Never repairs anything.

use std::collections::HashMap;

use jobcell_model::{Execution, ExecutionId, JobId, RunState};
use redb::{ReadOnlyTable, ReadableTable, ReadableTableMetadata};

use super::expect_count;
use crate::failure::Failure;
use crate::rows;
use crate::runs::has_run;
use crate::tables::{JobRun, Snapshot, job_run, named};

/// The lists of runs in one state, and how many should be on them.
struct Lists {
    state: RunState,
    by_job: ReadOnlyTable<JobRun, ()>,
    by_key: ReadOnlyTable<&'static [u8], ()>,
    count: u64,
    count_with_key: u64,
}

/// Returns how many runs of each job started and ended.
pub(super) fn verify(
    snapshot: &Snapshot,
    found: &mut Vec<String>,
) -> Result<HashMap<JobId, u64>, Failure> {
    let by_job = snapshot.runs_by_job()?;
    let mut lists = [
        Lists::new(
            RunState::Running,
            snapshot.open_runs()?,
            snapshot.open_by_key()?,
        ),
        Lists::new(
            RunState::Pending,
            snapshot.pending_runs()?,
            snapshot.pending_by_key()?,
        ),
    ];
    let mut ended = HashMap::new();
    for entry in snapshot.history()?.iter()? {
        let (id, row) = entry?;
        let id = ExecutionId::from_bytes(*id.value());
        let run = match rows::decode_execution(id, row.value()) {
            Ok(run) => run,
            Err(error) => {
                found.push(format!("run {id}: {error}"));
                continue;
            }
        };
        if by_job.get(&job_run(run.job_id, id))?.is_none() {
            found.push(format!("run {id}: it is missing among the runs of its job"));
        }
        for list in &mut lists {
            list.check(&run, found)?;
        }
        if has_run(&run) {
            *ended.entry(run.job_id).or_insert(0) += 1;
        }
    }
    let rows = snapshot.history()?.len()?;
    expect_count(found, "runs by job", by_job.len()?, rows);
    for list in &lists {
        list.count(found)?;
    }
    Ok(ended)
}

impl Lists {
    fn new(
        state: RunState,
        by_job: ReadOnlyTable<JobRun, ()>,
        by_key: ReadOnlyTable<&'static [u8], ()>,
    ) -> Self {
        Self {
            state,
            by_job,
            by_key,
            count: 0,
            count_with_key: 0,
        }
    }

    fn check(&mut self, run: &Execution, found: &mut Vec<String>) -> Result<(), Failure> {
        let (id, belongs) = (run.execution_id, run.status == self.state);
        let (state, status) = (self.state.as_str(), run.status.as_str());
        if self.by_job.get(&job_run(run.job_id, id))?.is_some() != belongs {
            found.push(format!(
                "run {id}: the list of {state} runs is wrong, it is {status}"
            ));
        }
        self.count += u64::from(belongs);
        let Some(key) = &run.concurrency_key else {
            return Ok(());
        };
        let key = named(key, id.as_bytes());
        if self.by_key.get(key.as_slice())?.is_some() != belongs {
            found.push(format!(
                "run {id}: the list of {state} runs by key is wrong, it is {status}"
            ));
        }
        self.count_with_key += u64::from(belongs);
        Ok(())
    }

    fn count(&self, found: &mut Vec<String>) -> Result<(), Failure> {
        let (state, with_key) = (self.state.as_str(), self.count_with_key);
        let all = self.by_job.len()?;
        expect_count(found, &format!("{state} runs"), all, self.count);
        let all = self.by_key.len()?;
        expect_count(found, &format!("{state} runs by key"), all, with_key);
        Ok(())
    }
}
