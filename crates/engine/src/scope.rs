//! Which runs share a limit. Never counts them; the store does.

use jobcell_model::{Execution, JobId};

/// Runs with the same scope share the limit of `concurrency`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Those of one job.
    Job(JobId),
    /// Those with one `concurrency.key`, whatever their jobs.
    Key(String),
}

impl Scope {
    /// That of a run.
    pub(crate) fn of(run: &Execution) -> Self {
        match &run.concurrency_key {
            Some(key) => Self::Key(key.clone()),
            None => Self::Job(run.job_id),
        }
    }
}
