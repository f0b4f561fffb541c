//! Builders of jobs, runs and their ends. Shared with the tests inside the
//! crate and the bench, so it holds only what all of them use. Never opens a
//! store.

use chrono::{DateTime, Utc};
use jobcell_model::{
    Execution, ExecutionId, JobId, JobRecord, OutputChunk, OutputStream, OutputSummary,
    ProcessFacts, RunOutput, RunState, Trigger,
};
use jobcell_store::{Finish, RunAdmission};

/// An instant, so many seconds after a fixed one.
pub(crate) fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 123_456_789).unwrap()
}

/// A job of revision 1, enabled.
pub(crate) fn job(key: &str) -> JobRecord {
    JobRecord {
        job_id: JobId::generate(),
        key: key.to_owned(),
        name: format!("Job {key}"),
        description: "Nightly; größer als gestern".to_owned(),
        job_type: "SQL".to_owned(),
        yaml_configuration: format!("id: {key}\ntype: SQL\nquery: SELECT 1\n"),
        enabled: true,
        revision: 1,
        created_date: at(0),
        modified_date: at(1),
        taken_over_date: None,
        created_by: "admin".to_owned(),
    }
}

/// A run of it that goes on.
pub(crate) fn run_of(job: &JobRecord) -> Execution {
    Execution {
        execution_id: ExecutionId::generate(),
        job_id: job.job_id,
        job_key: job.key.clone(),
        job_name: job.name.clone(),
        job_type: job.job_type.clone(),
        job_revision: job.revision,
        status: RunState::Running,
        trigger: Trigger::Manual,
        scheduled_time: None,
        start_time: at(10),
        end_time: None,
        duration_seconds: None,
        error_message: None,
        error_code: None,
        return_code: None,
        step_results: Vec::new(),
        executed_by: "admin".to_owned(),
        execution_timezone: "Europe/Berlin".to_owned(),
        server_info: "host; linux; jobcell 0.1.0".to_owned(),
        plugin: "sql 0.1.0 (blake3:00)".to_owned(),
        memory_usage_mb: None,
        cpu_time_seconds: None,
        retry_count: 0,
        max_retries: 0,
        is_retry: false,
        parent_execution_id: None,
        not_before: None,
        blocked_by: None,
        triggered_by: None,
        concurrency_key: None,
        parameters: Vec::new(),
        output: OutputSummary::default(),
        processes: ProcessFacts::default(),
    }
}

/// Asks for its start under this limit.
pub(crate) fn admission(run: &Execution, limit: u32) -> RunAdmission {
    RunAdmission {
        execution: run.clone(),
        limit: Some(limit),
    }
}

/// The end of a run after two and a half seconds, with what it wrote.
pub(crate) fn finish(run: &Execution, status: RunState, wrote: &[u8]) -> Finish {
    let execution = Execution {
        status,
        end_time: Some(at(13)),
        duration_seconds: Some(2.5),
        return_code: Some(0),
        memory_usage_mb: Some(12.25),
        cpu_time_seconds: Some(0.125),
        output: OutputSummary {
            stdout_bytes: wrote.len() as u64,
            ..OutputSummary::default()
        },
        ..run.clone()
    };
    let chunk = OutputChunk {
        stream: OutputStream::Stdout,
        at_ms: 7,
        dropped_before: 0,
        bytes: wrote.to_vec(),
    };
    Finish {
        execution,
        artifacts: Default::default(),
        output: RunOutput {
            chunks: vec![chunk],
        },
        then: Vec::new(),
    }
}
