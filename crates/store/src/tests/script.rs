//! A sequence of writes of every kind, and what can be seen of a store after
//! each. Never says what should be seen.

use jobcell_model::{Execution, JobRecord, RunOutput, RunState, StoredJob};

use super::support::{admission, finish, job, run_of};
use crate::JobTriggers;
use crate::{
    AdmitError, CreateJobError, Finish, FinishError, RedbStore, ReplaceJobError, RunAdmission,
    StorageError, Store,
};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Create(JobRecord),
    Replace(JobRecord),
    Delete(JobRecord),
    Admit(RunAdmission),
    Finish(Finish),
}

pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    jobs: Vec<JobRecord>,
}

/// All that callers can see.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Picture {
    jobs: Vec<StoredJob>,
    runs: Vec<(Execution, Option<RunOutput>)>,
    open: Vec<Execution>,
}

impl Script {
    /// Its last run wrote this many bytes.
    pub(super) fn new(output: usize) -> Self {
        let (kept, deleted) = (job("kept"), job("deleted"));
        let renamed = JobRecord {
            key: "renamed".to_owned(),
            enabled: false,
            revision: 2,
            ..kept.clone()
        };
        let runs = [run_of(&kept), run_of(&deleted), run_of(&renamed)];
        let noise: Vec<u8> = (0..output).map(noise).collect();
        let ends = [
            finish(&runs[0], RunState::Success, b"first"),
            finish(&runs[1], RunState::Interrupted, b""),
            finish(&runs[2], RunState::Failed, &noise),
        ];
        let [first, second, third] = ends.map(Step::Finish);
        let steps = vec![
            Step::Create(kept.clone()),
            Step::Create(deleted.clone()),
            Step::Admit(admission(&runs[0], 1)),
            Step::Admit(admission(&runs[1], 1)),
            first,
            Step::Replace(renamed),
            Step::Admit(admission(&runs[2], 1)),
            Step::Delete(deleted.clone()),
            second,
            third,
        ];
        Self {
            steps,
            jobs: vec![kept, deleted],
        }
    }

    /// What can be seen now.
    pub(super) async fn picture(&self, store: &RedbStore) -> Picture {
        let jobs = store.jobs(None, 100, false).await.unwrap().items;
        let mut runs = Vec::new();
        for job in &self.jobs {
            let history = store.history(job.job_id, None, 100).await.unwrap();
            for run in history.items {
                let output = store.output(run.execution_id).await.unwrap();
                runs.push((run, output));
            }
        }
        let open = store.open_executions().await.unwrap();
        Picture { jobs, runs, open }
    }
}

fn noise(index: usize) -> u8 {
    let mixed = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_le_bytes()[5] ^ mixed.to_le_bytes()[7]
}

/// Takes a step. Only the storage may refuse it.
pub(super) async fn take(store: &RedbStore, step: &Step) -> Result<(), StorageError> {
    match step.clone() {
        Step::Create(job) => match store.create_job(job, JobTriggers::default()).await {
            Err(CreateJobError::Storage(error)) => Err(error),
            reply => {
                reply.unwrap();
                Ok(())
            }
        },
        Step::Replace(job) => {
            let read = job.revision - 1;
            match store.replace_job(job, read, JobTriggers::default()).await {
                Err(ReplaceJobError::Storage(error)) => Err(error),
                reply => {
                    reply.unwrap();
                    Ok(())
                }
            }
        }
        Step::Delete(job) => store.delete_job(job.job_id).await.map(|_| ()),
        Step::Admit(run) => match store.admit_run(run).await {
            Err(AdmitError::Storage(error)) => Err(error),
            reply => {
                reply.unwrap();
                Ok(())
            }
        },
        Step::Finish(run) => match store.finish_run(run).await {
            Err(FinishError::Storage(error)) => Err(error),
            reply => {
                reply.unwrap();
                Ok(())
            }
        },
    }
}
