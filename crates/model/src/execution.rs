//! A run and all that history keeps of it. Never says how a run is carried out.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{ExecutionId, JobId};
use crate::spec::Parameter;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Admitted, not started.
    Pending,
    /// Started, not ended.
    Running,
    /// Did what it was for.
    Success,
    /// Ended without doing it.
    Failed,
    /// Ended by the job's `timeout`.
    Timeout,
    /// Ended by a person.
    Cancelled,
    /// Never started, for the reason in its error.
    Skipped,
    /// The server ended, or was shut down, while it ran.
    Interrupted,
}

impl RunState {
    /// The word used in replies and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether nothing more will happen to it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// What made a run start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Somebody asked for it.
    Manual,
    /// A firing of the job's schedule.
    Scheduled,
    /// An earlier run failed and the job's `retryPolicy` allows another.
    Retry,
    /// A run of another job ended, and the job's `after` names that.
    Dependency,
}

impl Trigger {
    /// The word used in replies (`execution_mode`) and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
            Self::Retry => "retry",
            Self::Dependency => "dependency",
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Did what it was for.
    Success,
    /// Did not.
    Failed,
    /// Was not tried.
    Skipped,
}

/// A part of a run, as its plugin reported it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// What the plugin calls it.
    pub name: String,
    /// A word of the job type: `select`, `script`.
    pub kind: String,
    /// How it ended.
    pub status: StepStatus,
    /// When it started.
    pub start_time: DateTime<Utc>,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// What the plugin says besides: a JSON object.
    pub details: serde_json::Value,
}

/// How much a run wrote, and how much of it was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSummary {
    /// Bytes written to standard output.
    pub stdout_bytes: u64,
    /// Bytes written to standard error.
    pub stderr_bytes: u64,
    /// Bytes that lay between the kept head and tail, and were dropped.
    pub dropped_bytes: u64,
}

/// What is known of the processes of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFacts {
    /// What leads to them after a crash, for the capability that started them.
    /// None once the run has ended.
    pub traces: Vec<String>,
    /// The most at a time.
    pub most: u32,
    /// Bytes that they were given on standard input.
    pub input_bytes: u64,
    /// Bytes that they read from disks.
    pub read_bytes: u64,
    /// Bytes that they wrote to disks.
    pub written_bytes: u64,
}

/// One run: the row of `job_execution_history_v2`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Its id.
    pub execution_id: ExecutionId,
    /// The job's server id.
    pub job_id: JobId,
    /// The job's own `id` at that time.
    pub job_key: String,
    /// The job's name at that time.
    pub job_name: String,
    /// The job's type at that time.
    pub job_type: String,
    /// Which edition of the job was run.
    pub job_revision: u64,
    /// Where it stands.
    pub status: RunState,
    /// What made it start.
    pub trigger: Trigger,
    /// The instant it was scheduled for, when a schedule made it start.
    pub scheduled_time: Option<DateTime<Utc>>,
    /// When it started.
    pub start_time: DateTime<Utc>,
    /// When it ended.
    pub end_time: Option<DateTime<Utc>>,
    /// How long it took, in seconds.
    pub duration_seconds: Option<f64>,
    /// Why it did not succeed, in one sentence.
    pub error_message: Option<String>,
    /// The same for programs: a stable word such as `tool_not_found`.
    pub error_code: Option<String>,
    /// The exit code, where there was one.
    pub return_code: Option<i32>,
    /// Its parts.
    pub step_results: Vec<StepResult>,
    /// Who asked for it.
    pub executed_by: String,
    /// The IANA zone that its schedule is read in; `UTC` without one.
    pub execution_timezone: String,
    /// Host name, operating system, Jobcell's version.
    pub server_info: String,
    /// Name, version and content hash of the plugin.
    pub plugin: String,
    /// The most memory of its processes together, or of the plugin, in MiB.
    pub memory_usage_mb: Option<f64>,
    /// Processor time of its processes and of its plugin, in seconds.
    pub cpu_time_seconds: Option<f64>,
    /// Which retry this is; 0 for a first attempt.
    pub retry_count: u32,
    /// How many retries the job allows.
    pub max_retries: u32,
    /// Whether it repeats an earlier run.
    pub is_retry: bool,
    /// The first attempt, when this is a retry.
    pub parent_execution_id: Option<ExecutionId>,
    /// It does not start before, when it waits for a time.
    pub not_before: Option<DateTime<Utc>>,
    /// The run because of which this one never started.
    pub blocked_by: Option<ExecutionId>,
    /// The run whose end made this one start, by the job's `after`.
    pub triggered_by: Option<ExecutionId>,
    /// Runs with the same key share a limit, whatever their jobs.
    pub concurrency_key: Option<String>,
    /// Values that take the place of the job's own `parameters`.
    pub parameters: Vec<Parameter>,
    /// How much it wrote.
    pub output: OutputSummary,
    /// Its processes.
    pub processes: ProcessFacts,
}
