//! A stored job and the figures kept with it. Never reads YAML.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::durations::Durations;
use crate::execution::RunState;
use crate::id::{ExecutionId, JobId};

/// A stored job: the row of `job_configurations_v2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// The server's id.
    pub job_id: JobId,
    /// The job's own `id`, unique in a store.
    pub key: String,
    /// Its name. The row decides, not the YAML.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its type, spelled as its plugin does.
    pub job_type: String,
    /// The YAML, as it was written.
    pub yaml_configuration: String,
    /// Whether it may run. The row decides, not the YAML.
    pub enabled: bool,
    /// Counts its editions, from 1.
    pub revision: u64,
    /// When it was created.
    pub created_date: DateTime<Utc>,
    /// When it was last changed.
    pub modified_date: DateTime<Utc>,
    /// When it was taken over from another system, whose dates the two above are.
    pub taken_over_date: Option<DateTime<Utc>>,
    /// Who created it.
    pub created_by: String,
}

/// What a job's runs add up to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobStatistics {
    /// Its latest run that ended.
    pub last_execution_id: Option<ExecutionId>,
    /// How that ended.
    pub last_execution_status: Option<RunState>,
    /// When that started.
    pub last_execution_time: Option<DateTime<Utc>>,
    /// Runs that ended.
    pub total_executions: u64,
    /// Of these, the ones that succeeded.
    pub successful_executions: u64,
    /// Of these, the ones that did not.
    pub failed_executions: u64,
    /// The sum of their durations, in seconds.
    pub total_duration_seconds: f64,
    /// The same by size; runs that never started are not in it.
    pub durations: Durations,
}

impl JobStatistics {
    /// The mean duration in seconds; 0 before the first run.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn average_duration_seconds(&self) -> f64 {
        if self.total_executions == 0 {
            return 0.0;
        }
        self.total_duration_seconds / self.total_executions as f64
    }

    /// The duration in seconds that 95 of 100 runs did not exceed, to within 2 %;
    /// 0 before the first run.
    #[must_use]
    pub fn p95_duration_seconds(&self) -> f64 {
        self.durations.quantile(0.95).unwrap_or(0.0)
    }

    /// Successes among all ended runs, from 0 to 100; 0 before the first.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn success_rate(&self) -> f64 {
        if self.total_executions == 0 {
            return 0.0;
        }
        self.successful_executions as f64 * 100.0 / self.total_executions as f64
    }
}

/// A job with its figures.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredJob {
    /// The job.
    pub record: JobRecord,
    /// Its figures.
    pub statistics: JobStatistics,
    /// The next instant of its schedule, when it is enabled and has one.
    pub next_scheduled_time: Option<DateTime<Utc>>,
}
