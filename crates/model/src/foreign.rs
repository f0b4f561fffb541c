//! A run of V1 as far as V1 knew it, and as the history keeps it: marked, so that
//! nobody takes it for one of ours. Never says what V1's columns mean.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::execution::{
    Execution, OutputSummary, ProcessFacts, RunState, StepResult, StepStatus, Trigger,
};
use crate::id::{ExecutionId, JobId};
use crate::output::{OutputChunk, OutputStream, RunOutput};

/// What stands for the plugin, the server and the user in a run of V1.
const V1: &str = "v1";

/// A run of V1 that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignRun {
    /// Its id here.
    pub execution_id: ExecutionId,
    /// The job's id here.
    pub job_id: JobId,
    /// The job's name at that time.
    pub job_name: String,
    /// How it ended.
    pub status: RunState,
    /// When it started.
    pub start_time: DateTime<Utc>,
    /// When it ended.
    pub end_time: DateTime<Utc>,
    /// How long it took.
    pub duration_seconds: f64,
    /// Why it did not succeed.
    #[serde(default)]
    pub error_message: Option<String>,
    /// The exit code.
    #[serde(default)]
    pub return_code: Option<i32>,
    /// Which retry it was.
    #[serde(default)]
    pub retry_count: u32,
    /// How many there could have been.
    #[serde(default)]
    pub max_retries: u32,
    /// The IANA zone of the job's schedule.
    pub execution_timezone: String,
    /// What V1 noted of it: a JSON object, kept as the details of its one step.
    pub noted: Value,
    /// What it wrote.
    #[serde(default)]
    pub output: String,
}

impl ForeignRun {
    /// What it is in the history of a job with this key and type.
    #[must_use]
    pub fn into_history(self, job_key: String, job_type: String) -> (Execution, RunOutput) {
        let step = self.step();
        let wrote = self.output.len() as u64;
        let execution = Execution {
            execution_id: self.execution_id,
            job_id: self.job_id,
            job_key,
            job_name: self.job_name,
            job_type,
            // No edition of V2 was run.
            job_revision: 0,
            status: self.status,
            // V1 did not record what made a run start.
            trigger: Trigger::Manual,
            scheduled_time: None,
            start_time: self.start_time,
            end_time: Some(self.end_time),
            duration_seconds: Some(self.duration_seconds),
            error_message: self.error_message,
            error_code: None,
            return_code: self.return_code,
            step_results: vec![step],
            executed_by: V1.to_owned(),
            execution_timezone: self.execution_timezone,
            server_info: V1.to_owned(),
            plugin: V1.to_owned(),
            memory_usage_mb: None,
            cpu_time_seconds: None,
            retry_count: self.retry_count,
            max_retries: self.max_retries,
            is_retry: self.retry_count > 0,
            parent_execution_id: None,
            not_before: None,
            blocked_by: None,
            triggered_by: None,
            concurrency_key: None,
            parameters: Vec::new(),
            output: OutputSummary {
                stdout_bytes: wrote,
                ..OutputSummary::default()
            },
            processes: ProcessFacts::default(),
        };
        (execution, kept(self.output))
    }

    /// What V1 noted of the run, as a step: it marks the run as V1's and loses
    /// nothing.
    fn step(&self) -> StepResult {
        StepResult {
            name: V1.to_owned(),
            kind: V1.to_owned(),
            status: match self.status {
                RunState::Success => StepStatus::Success,
                RunState::Skipped => StepStatus::Skipped,
                _ => StepStatus::Failed,
            },
            start_time: self.start_time,
            duration_seconds: self.duration_seconds,
            details: self.noted.clone(),
        }
    }
}

fn kept(output: String) -> RunOutput {
    let chunk = OutputChunk {
        stream: OutputStream::Stdout,
        at_ms: 0,
        dropped_before: 0,
        bytes: output.into_bytes(),
    };
    let wrote = !chunk.bytes.is_empty();
    RunOutput {
        chunks: wrote.then_some(chunk).into_iter().collect(),
    }
}
