//! Jobs that were run lately, ready to run again. Holds no truth: a run is
//! admitted only at the revision that the store has.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::TimeDelta;
use jobcell_model::plan::Plan;
use jobcell_model::schedule::{Schedule, Trigger};
use jobcell_model::{ConcurrencyPolicy, Execution, JobId, JobRecord, JobRef, JobSpec};
use jobcell_plugin_host::Plugin;
use jobcell_store::{Room, WhenFull};

use crate::queue::Waiting;

/// How much memory they may take, as far as it can be told, in bytes. When it is
/// more, any of the others make room: what runs again and again comes back.
const CAPACITY: usize = 32 << 20;
/// What a job takes, and each of its cron schedules.
const JOB_BYTES: usize = 2 << 10;
const CRON_BYTES: usize = 6 << 10;

/// All that a run of one edition of a job needs.
pub(crate) struct PreparedJob {
    /// Its row, without the YAML.
    pub(crate) record: JobRecord,
    pub(crate) spec: JobSpec,
    pub(crate) configuration: String,
    /// When it fires; none without a schedule.
    pub(crate) plan: Option<Plan>,
    pub(crate) plugin: Plugin,
}

impl PreparedJob {
    /// A run of it that waits. Waiting for a time, as a retry does, is no
    /// waiting for a turn.
    pub(crate) fn waiting(&self, execution: Execution) -> Waiting {
        let spec = &self.spec;
        let since = execution.not_before.unwrap_or(execution.start_time);
        let most = TimeDelta::from_std(spec.concurrency.queue.max_age).ok();
        let expires = most.and_then(|most| since.checked_add_signed(most));
        let queued = spec.concurrency.policy == ConcurrencyPolicy::Queue;
        Waiting {
            execution,
            priority: spec.priority,
            expires: expires.filter(|_| queued),
        }
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        let cron = |one: &&Schedule| matches!(one.trigger, Trigger::Cron(_));
        let crons = self.spec.schedules.iter().filter(cron).count();
        JOB_BYTES + crons * CRON_BYTES + self.configuration.len()
    }

    /// What a run that is to wait asks of those beside it.
    pub(crate) fn room(&self) -> Option<Room> {
        let concurrency = &self.spec.concurrency;
        let when_full = match concurrency.policy {
            ConcurrencyPolicy::Allow => return None,
            ConcurrencyPolicy::Skip => WhenFull::Skip,
            ConcurrencyPolicy::Replace => WhenFull::Replace,
            ConcurrencyPolicy::Queue => WhenFull::Queue {
                max: concurrency.queue.max,
            },
        };
        Some(Room {
            limit: concurrency.limit,
            when_full,
        })
    }
}

#[derive(Default)]
struct Entries {
    by_id: HashMap<JobId, Arc<PreparedJob>>,
    by_key: HashMap<String, JobId>,
    weight: usize,
}

impl Entries {
    fn remove(&mut self, job_id: JobId) {
        if let Some(job) = self.by_id.remove(&job_id) {
            self.weight -= job.weight();
            self.by_key.remove(&job.record.key);
        }
    }
}

/// The prepared jobs.
#[derive(Default)]
pub(crate) struct PreparedJobs(RwLock<Entries>);

impl PreparedJobs {
    /// The job at this revision, if it is here.
    pub(crate) fn get(&self, job_id: JobId, revision: u64) -> Option<Arc<PreparedJob>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries
            .by_id
            .get(&job_id)
            .filter(|job| job.record.revision == revision)
            .cloned()
    }

    /// The job by either name, at the revision that was seen last.
    pub(crate) fn find(&self, job: &JobRef) -> Option<Arc<PreparedJob>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let job_id = match job {
            JobRef::Id(id) => id,
            JobRef::Key(key) => entries.by_key.get(key)?,
        };
        entries.by_id.get(job_id).cloned()
    }

    /// Keeps a job.
    pub(crate) fn keep(&self, job: Arc<PreparedJob>) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(job.record.job_id);
        entries.weight += job.weight();
        while entries.weight > CAPACITY
            && let Some(other) = entries.by_id.keys().next().copied()
        {
            entries.remove(other);
        }
        entries
            .by_key
            .insert(job.record.key.clone(), job.record.job_id);
        entries.by_id.insert(job.record.job_id, job);
    }

    /// Drops a job.
    pub(crate) fn forget(&self, job_id: JobId) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(job_id);
    }
}
