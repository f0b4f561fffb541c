//! Takes over jobs and runs of another system. Never starts a run, never judges
//! what was meant: the jobs pass the same checks as any other.

use chrono::{DateTime, Utc};
use jobcell_model::{ConnectionRecord, JobId, JobRecord, JobSpec, Problem};
use jobcell_store::{Fed, Import, ImportError, Imported, ImportedJob, JobTriggers};
use tokio::sync::mpsc;

use crate::Engine;
use crate::error::SaveJobError;
use crate::replan;

/// A job of another system.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignText {
    /// The server's id of it.
    pub job_id: JobId,
    /// The job, which says all else of itself.
    pub yaml: String,
    /// When it was created there.
    pub created: DateTime<Utc>,
    /// When it was last changed there.
    pub modified: DateTime<Utc>,
    /// Who created it.
    pub created_by: String,
}

/// A job of another system that passed every check.
#[derive(Debug, Clone)]
pub struct ForeignJob(ImportedJob);

impl ForeignJob {
    /// As it will be stored.
    #[must_use]
    pub const fn record(&self) -> &JobRecord {
        &self.0.job
    }
}

impl Engine {
    /// Checks a job of another system, whose row keeps the dates that it had
    /// there and says that it was taken over now. Its firings are planned from
    /// now on, as for a job that is created now: none is made up for.
    ///
    /// # Errors
    /// All that must be put right, in the order of the text.
    pub async fn check_foreign(&self, job: ForeignText) -> Result<ForeignJob, Vec<Problem>> {
        let document = self.check(&job.yaml).await?.document;
        let now = self.0.clock.now();
        let record = record(job, &document.spec, now);
        let next = self.next_firing(&document, &record, now);
        let next = next.map_err(|error| match error {
            SaveJobError::Invalid(problems) => problems,
            _ => Vec::new(),
        })?;
        let after = Some(document.spec.after.clone());
        Ok(ForeignJob(ImportedJob {
            job: record,
            triggers: JobTriggers { next, after },
        }))
    }

    /// Takes over connections, jobs and their runs, all in one step or not at all. What is
    /// stored already stays as it is.
    ///
    /// # Errors
    /// When whoever brings the runs goes away, or the store refuses or fails.
    pub async fn take_over(
        &self,
        connections: Vec<ConnectionRecord>,
        jobs: Vec<ForeignJob>,
        runs: mpsc::Receiver<Fed>,
    ) -> Result<Imported, ImportError> {
        // Their firings rest on the rules of today, and the store must say so: else
        // the next start takes all instants since they were last changed, long
        // ago and elsewhere, for missed ones.
        replan::where_rules_changed(&self.0).await?;
        let jobs = jobs.into_iter().map(|ForeignJob(job)| job).collect();
        let import = Import {
            connections,
            jobs,
            runs,
        };
        let imported = self.0.store.import(import).await?;
        self.0.replanned.notify_one();
        Ok(imported)
    }
}

fn record(job: ForeignText, spec: &JobSpec, now: DateTime<Utc>) -> JobRecord {
    JobRecord {
        job_id: job.job_id,
        key: spec.id.clone(),
        name: spec.name.clone(),
        description: spec.description.clone().unwrap_or_default(),
        job_type: spec.job_type.clone(),
        enabled: spec.enabled,
        yaml_configuration: job.yaml,
        revision: 1,
        created_date: job.created,
        modified_date: job.modified,
        taken_over_date: Some(now),
        created_by: job.created_by,
    }
}
