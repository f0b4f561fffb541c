//! Rows as they are stored. Apart from the model, so that renaming something
//! there changes no file, and with short field names, so that a million runs
//! take half the room. Never renames or reuses a field name: see `codec`.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use jobcell_model::{
    Execution, ExecutionId, JobId, JobRecord, JobStatistics, OutputSummary, Parameter,
    ProcessFacts, RunState, StepResult, StepStatus, Trigger,
};
use serde::{Deserialize, Serialize};

use crate::codec::{self, corrupt};
use crate::error::StorageError;

/// An instant: seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Instant(i64, u32);

impl From<DateTime<Utc>> for Instant {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp(), time.timestamp_subsec_nanos())
    }
}

impl Instant {
    pub(crate) fn read(self, what: &'static str) -> Result<DateTime<Utc>, StorageError> {
        DateTime::from_timestamp(self.0, self.1).ok_or_else(|| {
            corrupt(
                what,
                format!("there is no instant {}.{:09}", self.0, self.1),
            )
        })
    }
}

#[derive(Serialize, Deserialize)]
struct StepRow<'a> {
    #[serde(rename = "n")]
    name: Cow<'a, str>,
    #[serde(rename = "k")]
    kind: Cow<'a, str>,
    #[serde(rename = "s")]
    status: StepStatus,
    #[serde(rename = "st")]
    start_time: Instant,
    #[serde(rename = "d")]
    duration_seconds: f64,
    #[serde(rename = "x")]
    details: Cow<'a, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct ExecutionRow<'a> {
    #[serde(rename = "j")]
    job_id: JobId,
    #[serde(rename = "jk")]
    job_key: Cow<'a, str>,
    #[serde(rename = "jn")]
    job_name: Cow<'a, str>,
    #[serde(rename = "jt")]
    job_type: Cow<'a, str>,
    #[serde(rename = "jr")]
    job_revision: u64,
    #[serde(rename = "s")]
    status: RunState,
    #[serde(rename = "t")]
    trigger: Trigger,
    #[serde(rename = "sc", default, skip_serializing_if = "Option::is_none")]
    scheduled_time: Option<Instant>,
    #[serde(rename = "st")]
    start_time: Instant,
    #[serde(rename = "en", default, skip_serializing_if = "Option::is_none")]
    end_time: Option<Instant>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
    #[serde(rename = "em", default, skip_serializing_if = "Option::is_none")]
    error_message: Option<Cow<'a, str>>,
    #[serde(rename = "ec", default, skip_serializing_if = "Option::is_none")]
    error_code: Option<Cow<'a, str>>,
    #[serde(rename = "rc", default, skip_serializing_if = "Option::is_none")]
    return_code: Option<i32>,
    #[serde(rename = "sr", default, skip_serializing_if = "Vec::is_empty")]
    step_results: Vec<StepRow<'a>>,
    #[serde(rename = "by")]
    executed_by: Cow<'a, str>,
    #[serde(rename = "tz")]
    execution_timezone: Cow<'a, str>,
    #[serde(rename = "sv")]
    server_info: Cow<'a, str>,
    #[serde(rename = "pl")]
    plugin: Cow<'a, str>,
    #[serde(rename = "mm", default, skip_serializing_if = "Option::is_none")]
    memory_usage_mb: Option<f64>,
    #[serde(rename = "cp", default, skip_serializing_if = "Option::is_none")]
    cpu_time_seconds: Option<f64>,
    #[serde(rename = "rn", default, skip_serializing_if = "is_zero")]
    retry_count: u32,
    #[serde(rename = "rm", default, skip_serializing_if = "is_zero")]
    max_retries: u32,
    #[serde(rename = "ir", default, skip_serializing_if = "std::ops::Not::not")]
    is_retry: bool,
    #[serde(rename = "pe", default, skip_serializing_if = "Option::is_none")]
    parent_execution_id: Option<ExecutionId>,
    #[serde(rename = "nb", default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Instant>,
    #[serde(rename = "bb", default, skip_serializing_if = "Option::is_none")]
    blocked_by: Option<ExecutionId>,
    #[serde(rename = "tb", default, skip_serializing_if = "Option::is_none")]
    triggered_by: Option<ExecutionId>,
    #[serde(rename = "ck", default, skip_serializing_if = "Option::is_none")]
    concurrency_key: Option<Cow<'a, str>>,
    #[serde(rename = "pa", default, skip_serializing_if = "is_empty")]
    parameters: Cow<'a, [Parameter]>,
    /// Bytes of standard output, of standard error, and dropped ones.
    #[serde(rename = "o", default, skip_serializing_if = "is_nothing")]
    output: [u64; 3],
    #[serde(rename = "pt", default, skip_serializing_if = "Vec::is_empty")]
    traces: Vec<Cow<'a, str>>,
    /// The most processes, and bytes of input, read and written.
    #[serde(rename = "pf", default, skip_serializing_if = "is_nothing")]
    processes: [u64; 4],
}

#[derive(Serialize, Deserialize)]
struct JobRow<'a> {
    #[serde(rename = "k")]
    key: Cow<'a, str>,
    #[serde(rename = "n")]
    name: Cow<'a, str>,
    #[serde(rename = "d")]
    description: Cow<'a, str>,
    #[serde(rename = "t")]
    job_type: Cow<'a, str>,
    #[serde(rename = "y")]
    yaml_configuration: Cow<'a, str>,
    #[serde(rename = "e")]
    enabled: bool,
    #[serde(rename = "c")]
    created_date: Instant,
    #[serde(rename = "m")]
    modified_date: Instant,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    taken_over_date: Option<Instant>,
    #[serde(rename = "by")]
    created_by: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct StatisticsRow {
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    last_execution_id: Option<ExecutionId>,
    #[serde(rename = "ls", default, skip_serializing_if = "Option::is_none")]
    last_execution_status: Option<RunState>,
    #[serde(rename = "lt", default, skip_serializing_if = "Option::is_none")]
    last_execution_time: Option<Instant>,
    #[serde(rename = "n")]
    total_executions: u64,
    #[serde(rename = "s")]
    successful_executions: u64,
    #[serde(rename = "f")]
    failed_executions: u64,
    #[serde(rename = "d")]
    total_duration_seconds: f64,
    /// Buckets of durations and how many are in each.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    durations: Vec<(i16, u64)>,
}

/// Encodes a run.
pub(crate) fn encode_execution(run: &Execution) -> Result<Vec<u8>, StorageError> {
    codec::encode("run", &execution_row(run))
}

/// Decodes a run.
pub(crate) fn decode_execution(id: ExecutionId, bytes: &[u8]) -> Result<Execution, StorageError> {
    let row: ExecutionRow<'static> = codec::decode("run", bytes)?;
    let instant = |time: Option<Instant>| time.map(|time| time.read("run")).transpose();
    let [stdout_bytes, stderr_bytes, dropped_bytes] = row.output;
    Ok(Execution {
        execution_id: id,
        job_id: row.job_id,
        job_key: row.job_key.into_owned(),
        job_name: row.job_name.into_owned(),
        job_type: row.job_type.into_owned(),
        job_revision: row.job_revision,
        status: row.status,
        trigger: row.trigger,
        scheduled_time: instant(row.scheduled_time)?,
        start_time: row.start_time.read("run")?,
        end_time: instant(row.end_time)?,
        duration_seconds: row.duration_seconds,
        error_message: row.error_message.map(Cow::into_owned),
        error_code: row.error_code.map(Cow::into_owned),
        return_code: row.return_code,
        step_results: row
            .step_results
            .into_iter()
            .map(read_step)
            .collect::<Result<_, _>>()?,
        executed_by: row.executed_by.into_owned(),
        execution_timezone: row.execution_timezone.into_owned(),
        server_info: row.server_info.into_owned(),
        plugin: row.plugin.into_owned(),
        memory_usage_mb: row.memory_usage_mb,
        cpu_time_seconds: row.cpu_time_seconds,
        retry_count: row.retry_count,
        max_retries: row.max_retries,
        is_retry: row.is_retry,
        parent_execution_id: row.parent_execution_id,
        not_before: instant(row.not_before)?,
        blocked_by: row.blocked_by,
        triggered_by: row.triggered_by,
        concurrency_key: row.concurrency_key.map(Cow::into_owned),
        parameters: row.parameters.into_owned(),
        output: OutputSummary {
            stdout_bytes,
            stderr_bytes,
            dropped_bytes,
        },
        processes: ProcessFacts {
            traces: row.traces.into_iter().map(Cow::into_owned).collect(),
            most: u32::try_from(row.processes[0]).unwrap_or(u32::MAX),
            input_bytes: row.processes[1],
            read_bytes: row.processes[2],
            written_bytes: row.processes[3],
        },
    })
}

/// Encodes a job.
pub(crate) fn encode_job(job: &JobRecord) -> Result<Vec<u8>, StorageError> {
    let row = JobRow {
        key: Cow::Borrowed(&job.key),
        name: Cow::Borrowed(&job.name),
        description: Cow::Borrowed(&job.description),
        job_type: Cow::Borrowed(&job.job_type),
        yaml_configuration: Cow::Borrowed(&job.yaml_configuration),
        enabled: job.enabled,
        created_date: job.created_date.into(),
        modified_date: job.modified_date.into(),
        taken_over_date: job.taken_over_date.map(Instant::from),
        created_by: Cow::Borrowed(&job.created_by),
    };
    codec::encode_job(job.revision, &row)
}

/// Decodes a job.
pub(crate) fn decode_job(job_id: JobId, bytes: &[u8]) -> Result<JobRecord, StorageError> {
    let row: JobRow<'static> = codec::decode_job(bytes)?;
    let taken_over = row.taken_over_date.map(|time| time.read("job"));
    Ok(JobRecord {
        job_id,
        key: row.key.into_owned(),
        name: row.name.into_owned(),
        description: row.description.into_owned(),
        job_type: row.job_type.into_owned(),
        yaml_configuration: row.yaml_configuration.into_owned(),
        enabled: row.enabled,
        revision: codec::job_revision(bytes)?,
        created_date: row.created_date.read("job")?,
        modified_date: row.modified_date.read("job")?,
        taken_over_date: taken_over.transpose()?,
        created_by: row.created_by.into_owned(),
    })
}

/// Encodes a job's figures.
pub(crate) fn encode_statistics(figures: &JobStatistics) -> Result<Vec<u8>, StorageError> {
    let row = StatisticsRow {
        last_execution_id: figures.last_execution_id,
        last_execution_status: figures.last_execution_status,
        last_execution_time: figures.last_execution_time.map(Instant::from),
        total_executions: figures.total_executions,
        successful_executions: figures.successful_executions,
        failed_executions: figures.failed_executions,
        total_duration_seconds: figures.total_duration_seconds,
        durations: figures.durations.buckets().collect(),
    };
    codec::encode("statistics row", &row)
}

/// Decodes a job's figures.
pub(crate) fn decode_statistics(bytes: &[u8]) -> Result<JobStatistics, StorageError> {
    let row: StatisticsRow = codec::decode("statistics row", bytes)?;
    let last_time = row
        .last_execution_time
        .map(|time| time.read("statistics row"));
    Ok(JobStatistics {
        last_execution_id: row.last_execution_id,
        last_execution_status: row.last_execution_status,
        last_execution_time: last_time.transpose()?,
        total_executions: row.total_executions,
        successful_executions: row.successful_executions,
        failed_executions: row.failed_executions,
        total_duration_seconds: row.total_duration_seconds,
        durations: row.durations.into_iter().collect(),
    })
}

fn execution_row(run: &Execution) -> ExecutionRow<'_> {
    ExecutionRow {
        job_id: run.job_id,
        job_key: Cow::Borrowed(&run.job_key),
        job_name: Cow::Borrowed(&run.job_name),
        job_type: Cow::Borrowed(&run.job_type),
        job_revision: run.job_revision,
        status: run.status,
        trigger: run.trigger,
        scheduled_time: run.scheduled_time.map(Instant::from),
        start_time: run.start_time.into(),
        end_time: run.end_time.map(Instant::from),
        duration_seconds: run.duration_seconds,
        error_message: run.error_message.as_deref().map(Cow::Borrowed),
        error_code: run.error_code.as_deref().map(Cow::Borrowed),
        return_code: run.return_code,
        step_results: run.step_results.iter().map(step_row).collect(),
        executed_by: Cow::Borrowed(&run.executed_by),
        execution_timezone: Cow::Borrowed(&run.execution_timezone),
        server_info: Cow::Borrowed(&run.server_info),
        plugin: Cow::Borrowed(&run.plugin),
        memory_usage_mb: run.memory_usage_mb,
        cpu_time_seconds: run.cpu_time_seconds,
        retry_count: run.retry_count,
        max_retries: run.max_retries,
        is_retry: run.is_retry,
        parent_execution_id: run.parent_execution_id,
        not_before: run.not_before.map(Instant::from),
        blocked_by: run.blocked_by,
        triggered_by: run.triggered_by,
        concurrency_key: run.concurrency_key.as_deref().map(Cow::Borrowed),
        parameters: Cow::Borrowed(&run.parameters),
        output: [
            run.output.stdout_bytes,
            run.output.stderr_bytes,
            run.output.dropped_bytes,
        ],
        traces: run
            .processes
            .traces
            .iter()
            .map(|trace| Cow::Borrowed(trace.as_str()))
            .collect(),
        processes: [
            u64::from(run.processes.most),
            run.processes.input_bytes,
            run.processes.read_bytes,
            run.processes.written_bytes,
        ],
    }
}

fn step_row(step: &StepResult) -> StepRow<'_> {
    StepRow {
        name: Cow::Borrowed(&step.name),
        kind: Cow::Borrowed(&step.kind),
        status: step.status,
        start_time: step.start_time.into(),
        duration_seconds: step.duration_seconds,
        details: Cow::Borrowed(&step.details),
    }
}

fn read_step(row: StepRow<'static>) -> Result<StepResult, StorageError> {
    Ok(StepResult {
        name: row.name.into_owned(),
        kind: row.kind.into_owned(),
        status: row.status,
        start_time: row.start_time.read("run")?,
        duration_seconds: row.duration_seconds,
        details: row.details.into_owned(),
    })
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn is_empty(parameters: &[Parameter]) -> bool {
    parameters.is_empty()
}

fn is_nothing<const N: usize>(counts: &[u64; N]) -> bool {
    *counts == [0; N]
}
