//! What replies look like: the original's keys, then ours. Borrowed from the
//! records, so that a reply costs one pass over them. Never asks the store.

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use jobcell_model::{
    Execution, ExecutionId, JobId, Problem, RunOutput, RunState, Severity, StepResult, StepStatus,
    StoredJob,
};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::ApiError;

/// The version that replies about a job carry.
pub(crate) const VERSION: &str = "v2";
/// The version of the job format, a column of the original's table.
const JOB_FORMAT_VERSION: &str = "2.0";
/// How much of a run's output a list shows, in bytes: its end.
const LISTED_OUTPUT: usize = 4096;

/// A reply's body as JSON of known length.
pub(crate) struct Reply<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let mut response = body.into_response();
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
            Err(error) => {
                tracing::error!(%error, "a reply has no JSON form");
                ApiError::internal("internal_error", "the reply has no JSON form").into_response()
            }
        }
    }
}

/// An instant as RFC 3339 with `+00:00` and microseconds, which is what the
/// date parsers of other languages agree on.
#[derive(Clone, Copy)]
pub(crate) struct Timestamp(DateTime<Utc>);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, false))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(instant: DateTime<Utc>) -> Self {
        Self(instant)
    }
}

/// A doubt about a request.
pub(crate) fn warning(code: &'static str, pointer: String, message: String) -> Problem {
    Problem {
        severity: Severity::Warning,
        code,
        pointer,
        line: None,
        column: None,
        message,
        hint: None,
    }
}

/// The first error in one sentence, and how many there are.
pub(crate) fn sentence(what: &str, problems: &[Problem]) -> String {
    let errors = || {
        problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
    };
    let Some(first) = errors().next() else {
        return what.to_owned();
    };
    let place = match (first.line, first.column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        (Some(line), None) => format!("line {line}: "),
        (None, _) => String::new(),
    };
    let hint = first
        .hint
        .as_ref()
        .map(|hint| format!("; {hint}"))
        .unwrap_or_default();
    let more = match errors().count() - 1 {
        0 => String::new(),
        1 => " (and 1 more error)".to_owned(),
        more => format!(" (and {more} more errors)"),
    };
    format!("{what}: {place}{}{hint}{more}", first.message)
}

/// A stored job.
#[derive(Serialize)]
pub(crate) struct JobView<'a> {
    job_id: JobId,
    key: &'a str,
    name: &'a str,
    description: &'a str,
    job_type: &'a str,
    version: &'static str,
    revision: u64,
    yaml_configuration: &'a str,
    enabled: bool,
    created_date: Timestamp,
    modified_date: Timestamp,
    created_by: &'a str,
    last_execution_id: Option<ExecutionId>,
    last_execution_status: Option<RunState>,
    last_execution_time: Option<Timestamp>,
    next_scheduled_time: Option<Timestamp>,
    total_executions: u64,
    successful_executions: u64,
    failed_executions: u64,
    average_duration_seconds: f64,
    p95_duration_seconds: f64,
    success_rate: f64,
}

impl<'a> From<&'a StoredJob> for JobView<'a> {
    fn from(job: &'a StoredJob) -> Self {
        let StoredJob {
            record,
            statistics,
            next_scheduled_time,
        } = job;
        Self {
            job_id: record.job_id,
            key: &record.key,
            name: &record.name,
            description: &record.description,
            job_type: &record.job_type,
            version: JOB_FORMAT_VERSION,
            revision: record.revision,
            yaml_configuration: &record.yaml_configuration,
            enabled: record.enabled,
            created_date: record.created_date.into(),
            modified_date: record.modified_date.into(),
            created_by: &record.created_by,
            last_execution_id: statistics.last_execution_id,
            last_execution_status: statistics.last_execution_status,
            last_execution_time: statistics.last_execution_time.map(Into::into),
            next_scheduled_time: next_scheduled_time.map(Into::into),
            total_executions: statistics.total_executions,
            successful_executions: statistics.successful_executions,
            failed_executions: statistics.failed_executions,
            average_duration_seconds: statistics.average_duration_seconds(),
            p95_duration_seconds: statistics.p95_duration_seconds(),
            success_rate: statistics.success_rate(),
        }
    }
}

/// A part of a run.
#[derive(Serialize)]
pub(crate) struct StepView<'a> {
    name: &'a str,
    kind: &'a str,
    status: StepStatus,
    start_time: Timestamp,
    duration_seconds: f64,
    details: &'a Value,
}

impl<'a> From<&'a StepResult> for StepView<'a> {
    fn from(step: &'a StepResult) -> Self {
        Self {
            name: &step.name,
            kind: &step.kind,
            status: step.status,
            start_time: step.start_time.into(),
            duration_seconds: step.duration_seconds,
            details: &step.details,
        }
    }
}

/// A run's output as text.
pub(crate) struct OutputText {
    text: Option<String>,
    cut: bool,
}

impl OutputText {
    /// A run that wrote nothing.
    pub(crate) const fn empty() -> Self {
        Self {
            text: Some(String::new()),
            cut: false,
        }
    }

    /// All that is kept; none while the run goes on.
    pub(crate) fn full(output: Option<&RunOutput>) -> Self {
        Self {
            text: output.map(RunOutput::text),
            cut: false,
        }
    }

    /// The end of it, for lists: that is where errors are.
    pub(crate) fn tail(output: Option<RunOutput>) -> Self {
        let Some(mut output) = output else {
            return Self {
                text: None,
                cut: false,
            };
        };
        let mut needed = LISTED_OUTPUT;
        let mut first = output.chunks.len();
        // Only the pieces that are shown are turned into text.
        while first > 0 && needed > 0 {
            first -= 1;
            if output.chunks[first].stream != jobcell_model::OutputStream::Log {
                needed = needed.saturating_sub(output.chunks[first].bytes.len());
            }
        }
        output.chunks.drain(..first);
        let mut text = output.text();
        let start = text.ceil_char_boundary(text.len().saturating_sub(LISTED_OUTPUT));
        text.drain(..start);
        Self {
            text: Some(text),
            cut: first > 0 || start > 0,
        }
    }
}

/// A run: the original's row and ours.
#[derive(Serialize)]
pub(crate) struct ExecutionView<'a> {
    execution_id: ExecutionId,
    job_id: JobId,
    job_key: &'a str,
    job_name: &'a str,
    job_type: &'a str,
    job_revision: u64,
    status: RunState,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    duration_seconds: Option<f64>,
    output_log: Option<String>,
    output_truncated: bool,
    output_bytes: u64,
    output_dropped_bytes: u64,
    error_message: Option<&'a str>,
    error_code: Option<&'a str>,
    return_code: Option<i32>,
    step_results: Vec<StepView<'a>>,
    execution_mode: &'static str,
    executed_by: &'a str,
    execution_timezone: &'a str,
    scheduled_time: Option<Timestamp>,
    server_info: &'a str,
    plugin: &'a str,
    memory_usage_mb: Option<f64>,
    cpu_time_seconds: Option<f64>,
    process_count: u32,
    input_bytes: u64,
    disk_read_bytes: u64,
    disk_written_bytes: u64,
    retry_count: u32,
    max_retries: u32,
    is_retry: bool,
    parent_execution_id: Option<ExecutionId>,
    not_before: Option<Timestamp>,
    blocked_by: Option<ExecutionId>,
    triggered_by: Option<ExecutionId>,
    concurrency_key: Option<&'a str>,
}

impl<'a> ExecutionView<'a> {
    /// The row with this much of its output.
    pub(crate) fn new(execution: &'a Execution, output: OutputText) -> Self {
        Self {
            execution_id: execution.execution_id,
            job_id: execution.job_id,
            job_key: &execution.job_key,
            job_name: &execution.job_name,
            job_type: &execution.job_type,
            job_revision: execution.job_revision,
            status: execution.status,
            start_time: execution.start_time.into(),
            end_time: execution.end_time.map(Into::into),
            duration_seconds: execution.duration_seconds,
            output_log: output.text,
            output_truncated: output.cut,
            output_bytes: execution.output.stdout_bytes + execution.output.stderr_bytes,
            output_dropped_bytes: execution.output.dropped_bytes,
            error_message: execution.error_message.as_deref(),
            error_code: execution.error_code.as_deref(),
            return_code: execution.return_code,
            step_results: execution.step_results.iter().map(StepView::from).collect(),
            execution_mode: execution.trigger.as_str(),
            executed_by: &execution.executed_by,
            execution_timezone: &execution.execution_timezone,
            scheduled_time: execution.scheduled_time.map(Into::into),
            server_info: &execution.server_info,
            plugin: &execution.plugin,
            memory_usage_mb: execution.memory_usage_mb,
            cpu_time_seconds: execution.cpu_time_seconds,
            process_count: execution.processes.most,
            input_bytes: execution.processes.input_bytes,
            disk_read_bytes: execution.processes.read_bytes,
            disk_written_bytes: execution.processes.written_bytes,
            retry_count: execution.retry_count,
            max_retries: execution.max_retries,
            is_retry: execution.is_retry,
            parent_execution_id: execution.parent_execution_id,
            not_before: execution.not_before.map(Into::into),
            blocked_by: execution.blocked_by,
            triggered_by: execution.triggered_by,
            concurrency_key: execution.concurrency_key.as_deref(),
        }
    }
}
