//! Carries out one run: start record, plugin, finish record. The plugin starts
//! while the start record is being written; its first effect waits for it.
//! Never decides whether a job may run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jobcell_model::{
    Execution, ExecutionId, JobRecord, JobSpec, OutputSummary, Parameter, ProcessFacts, RunState,
};
use jobcell_plugin_host::{EffectGate, Journal, RunEnd, RunObserver, RunReport, RunRequest};
use jobcell_store::{AdmitError, RunAdmission, StartError as StartPendingError, Store};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::Shared;
use crate::cache::PreparedJob;
use crate::error::{RunLost, StartError};
use crate::finish;
use crate::jobs::CheckedJob;
use crate::live::{CancelCause, Listed, LiveRun};
use crate::runs::{RunOutcome, StartRequest};
use crate::type_slots::TypeSlot;

/// Why a run did not begin.
pub(crate) enum Begun {
    /// The job was changed since it was prepared.
    Stale,
    /// It may not run.
    Refused(StartError),
    /// It was to wait no more: it has started or ended elsewhere.
    Gone,
}

/// What one recorded run is made from.
pub(crate) struct Ticket {
    /// Its row as it starts.
    pub(crate) execution: Execution,
    pub(crate) live: Listed,
    /// Its part of the limit of its job's type; given back at its end.
    pub(crate) slot: TypeSlot,
    /// Whether it has a row already, as one that waits.
    pub(crate) waited: bool,
}

/// Runs a stored job from start record to finish record.
pub(crate) async fn recorded(
    shared: Arc<Shared>,
    job: Arc<PreparedJob>,
    ticket: Ticket,
    admitted: oneshot::Sender<Result<(), Begun>>,
    finished: oneshot::Sender<Result<RunOutcome, RunLost>>,
) {
    let execution = ticket.execution;
    let mut listed = ticket.live;
    let _slot = ticket.slot;
    let live = listed.run().clone();
    let started = Instant::now();
    let (opener, gate) = EffectGate::closed();
    let admission = admit(&shared, &job, execution.clone(), ticket.waited);
    let request = run_request(&shared, &job, &execution, &live, gate);
    let admission = async {
        let result = admission.await;
        opener.settle(result.is_ok());
        if result.is_err() {
            // Nobody will record this run: what was begun of it is to stop.
            live.token().cancel();
        }
        let accepted = result.is_ok();
        if accepted {
            listed.started();
        }
        // A caller that went away needs no answer.
        drop(admitted.send(result));
        accepted
    };
    let (accepted, mut report) = tokio::join!(admission, job.plugin.run(request));
    if !accepted {
        return;
    }
    let output = report.output.clone();
    let artifacts = Arc::new(std::mem::take(&mut report.artifacts));
    let execution = finish_record(&shared, &job, execution, report, started, &live);
    let outcome = RunOutcome {
        execution,
        output,
        artifacts,
    };
    finish::record(&shared, &job, &live, outcome, finished).await;
}

/// Runs a job that nobody records.
pub(crate) async fn unrecorded(
    shared: &Shared,
    job: &CheckedJob,
    overrides: &[Parameter],
    cancel: CancellationToken,
    observer: Option<Arc<dyn RunObserver>>,
) -> RunReport {
    let spec = &job.document.spec;
    let Some(plugin) = shared.job_types.get(&spec.job_type) else {
        return missing_plugin(&spec.job_type);
    };
    let attributes = [
        ("job-key", spec.id.clone()),
        ("job-name", spec.name.clone()),
        ("job-type", spec.job_type.clone()),
        ("execution-id", ExecutionId::generate().to_string()),
        ("attempt", "1".to_owned()),
        ("trigger", "manual".to_owned()),
    ];
    plugin
        .run(RunRequest {
            configuration: crate::jobs::configuration_text(&job.document),
            parameters: pairs(parameters(&job.document.spec, overrides)),
            attributes: attributes
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            environment: spec.environment.clone(),
            timeout: spec.timeout,
            limits: shared.limits.narrowed(&spec.limits),
            cancel,
            gate: EffectGate::open(),
            journal: None,
            observer,
        })
        .await
}

/// Records the start of a run, new or waiting.
async fn admit(
    shared: &Shared,
    job: &PreparedJob,
    execution: Execution,
    waited: bool,
) -> Result<(), Begun> {
    let limit = job.room().map(|room| room.limit);
    if waited {
        let started = shared.store.start_pending(execution, limit).await;
        return started.map_err(|error| match error {
            StartPendingError::NotPending { .. } => Begun::Gone,
            StartPendingError::Changed { .. } => Begun::Stale,
            StartPendingError::Busy { execution_id } => busy(job, execution_id),
            StartPendingError::Storage(error) => Begun::Refused(error.into()),
        });
    }
    let admission = RunAdmission { execution, limit };
    let admitted = shared.store.admit_run(admission).await;
    admitted.map_err(|error| refusal(job, error))
}

fn refusal(job: &PreparedJob, error: AdmitError) -> Begun {
    match error {
        AdmitError::Changed { .. } | AdmitError::NotFound { .. } => Begun::Stale,
        AdmitError::Busy { execution_id } => busy(job, execution_id),
        AdmitError::Storage(error) => Begun::Refused(error.into()),
    }
}

fn busy(job: &PreparedJob, execution_id: ExecutionId) -> Begun {
    Begun::Refused(StartError::Busy {
        key: job.record.key.clone(),
        execution_id,
    })
}

/// The parameters of a job, with these values in the place of its own.
pub(crate) fn parameters(spec: &JobSpec, instead: &[Parameter]) -> Vec<Parameter> {
    let mut parameters = spec.parameters.clone();
    for given in instead {
        match parameters.iter_mut().find(|own| own.name == given.name) {
            Some(own) => own.value.clone_from(&given.value),
            None => parameters.push(given.clone()),
        }
    }
    parameters
}

fn pairs(parameters: Vec<Parameter>) -> Vec<(String, serde_json::Value)> {
    parameters
        .into_iter()
        .map(|parameter| (parameter.name, parameter.value))
        .collect()
}

/// The row of a run of this job that starts now.
pub(crate) fn start_record(
    shared: &Shared,
    job: &PreparedJob,
    request: &StartRequest,
) -> Execution {
    let spec = &job.spec;
    traced(
        job,
        Execution {
            execution_timezone: spec.timezone().to_owned(),
            plugin: job.plugin.identity().to_owned(),
            max_retries: spec.max_retries(),
            concurrency_key: spec.concurrency.shared_key().map(str::to_owned),
            ..bare_record(shared, &job.record, request)
        },
    )
}

/// The same with what leads to its processes, as far as that is known already.
fn traced(job: &PreparedJob, execution: Execution) -> Execution {
    let traces = job.plugin.traces(&execution.execution_id.to_string());
    Execution {
        processes: ProcessFacts {
            traces,
            ..ProcessFacts::default()
        },
        ..execution
    }
}

/// The same of a job of which no more than its row is known.
pub(crate) fn bare_record(
    shared: &Shared,
    record: &JobRecord,
    request: &StartRequest,
) -> Execution {
    Execution {
        execution_id: ExecutionId::generate(),
        job_id: record.job_id,
        job_key: record.key.clone(),
        job_name: record.name.clone(),
        job_type: record.job_type.clone(),
        job_revision: record.revision,
        status: RunState::Running,
        trigger: request.trigger,
        scheduled_time: None,
        start_time: shared.clock.now(),
        end_time: None,
        duration_seconds: None,
        error_message: None,
        error_code: None,
        return_code: None,
        step_results: Vec::new(),
        executed_by: request.executed_by.clone(),
        execution_timezone: "UTC".to_owned(),
        server_info: shared.server_info.clone(),
        plugin: String::new(),
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

/// The row of a run that waited and starts now, of the job as it is now.
pub(crate) fn resumed_record(shared: &Shared, job: &PreparedJob, waited: &Execution) -> Execution {
    let request = StartRequest {
        trigger: waited.trigger,
        executed_by: waited.executed_by.clone(),
    };
    traced(
        job,
        Execution {
            execution_id: waited.execution_id,
            scheduled_time: waited.scheduled_time,
            retry_count: waited.retry_count,
            is_retry: waited.is_retry,
            parent_execution_id: waited.parent_execution_id,
            not_before: waited.not_before,
            triggered_by: waited.triggered_by,
            // It is listed by the key that it was recorded with.
            concurrency_key: waited.concurrency_key.clone(),
            parameters: waited.parameters.clone(),
            ..start_record(shared, job, &request)
        },
    )
}

fn run_request(
    shared: &Shared,
    job: &PreparedJob,
    execution: &Execution,
    live: &LiveRun,
    gate: EffectGate,
) -> RunRequest {
    let attributes = [
        ("job-id", execution.job_id.to_string()),
        ("job-key", execution.job_key.clone()),
        ("job-name", execution.job_name.clone()),
        ("job-type", execution.job_type.clone()),
        ("execution-id", execution.execution_id.to_string()),
        ("attempt", (execution.retry_count + 1).to_string()),
        ("trigger", execution.trigger.as_str().to_owned()),
    ];
    let scheduled = execution
        .scheduled_time
        .map(|at| ("scheduled-time", at.to_rfc3339()));
    let parent = execution
        .triggered_by
        .map(|id| ("triggered-by-execution-id", id.to_string()));
    let attributes = attributes.into_iter().chain(scheduled).chain(parent);
    RunRequest {
        configuration: job.configuration.clone(),
        parameters: pairs(parameters(&job.spec, &execution.parameters)),
        attributes: attributes
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        environment: job.spec.environment.clone(),
        timeout: job.spec.timeout,
        limits: shared.limits.narrowed(&job.spec.limits),
        cancel: live.token(),
        gate,
        journal: Some(Arc::new(RunJournal {
            store: Arc::clone(&shared.store),
            execution_id: execution.execution_id,
        })),
        observer: Some(live.observer()),
    }
}

/// Adds what leads to a run's processes to its record.
struct RunJournal {
    store: Arc<dyn Store>,
    execution_id: ExecutionId,
}

#[async_trait]
impl Journal for RunJournal {
    async fn add(&self, trace: String) -> bool {
        let added = self.store.add_trace(self.execution_id, trace).await;
        if let Err(error) = &added {
            let execution_id = self.execution_id;
            tracing::error!(%execution_id, %error, "what a run starts can't be recorded");
        }
        added.is_ok()
    }
}

fn finish_record(
    shared: &Shared,
    job: &PreparedJob,
    start: Execution,
    report: RunReport,
    started: Instant,
    live: &LiveRun,
) -> Execution {
    let duration = started.elapsed();
    let timeout = job.spec.timeout;
    let (status, return_code, error) = verdict(report.end, timeout, live.cause());
    let (code, message) = error.unzip();
    Execution {
        status,
        // The wall clock may jump; the duration may not.
        end_time: Some(shared.clock.now().max(start.start_time)),
        duration_seconds: Some(duration.as_secs_f64()),
        error_message: message,
        error_code: code,
        return_code,
        step_results: report.steps,
        memory_usage_mb: Some(mebibytes(report.cost.peak_memory)),
        cpu_time_seconds: Some(report.cost.cpu_time.as_secs_f64()),
        output: report.output_summary,
        processes: ProcessFacts {
            traces: Vec::new(),
            most: report.cost.processes,
            input_bytes: report.cost.input_bytes,
            read_bytes: report.cost.read_bytes,
            written_bytes: report.cost.written_bytes,
        },
        ..start
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "memory sizes stay far below 2^53 bytes"
)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

type Verdict = (RunState, Option<i32>, Option<(String, String)>);

fn verdict(end: RunEnd, timeout: Duration, cause: Option<&CancelCause>) -> Verdict {
    let because = |code: &str, message: String| Some((code.to_owned(), message));
    match end {
        RunEnd::Succeeded { return_code } => (RunState::Success, return_code, None),
        RunEnd::Failed {
            return_code,
            failure,
        } => (
            RunState::Failed,
            return_code,
            Some((failure.code, failure.message)),
        ),
        RunEnd::TimedOut => {
            let message = format!(
                "the run was stopped because the job's `timeout` of {} s was over",
                timeout.as_secs_f64()
            );
            (RunState::Timeout, None, because("timeout", message))
        }
        RunEnd::Cancelled => match cause {
            Some(CancelCause::Shutdown) => {
                let message = "the server was shut down while this run was going on".to_owned();
                (RunState::Interrupted, None, because("interrupted", message))
            }
            Some(CancelCause::Replaced(by)) => {
                let message =
                    format!("the run {by} took its place, as `concurrency.policy: replace` asks");
                (RunState::Cancelled, None, because("replaced", message))
            }
            Some(CancelCause::Person(by)) => (
                RunState::Cancelled,
                None,
                because("cancelled", format!("cancelled by {by}")),
            ),
            None => (
                RunState::Cancelled,
                None,
                because("cancelled", "cancelled".to_owned()),
            ),
        },
    }
}

fn missing_plugin(job_type: &str) -> RunReport {
    RunReport {
        end: RunEnd::Failed {
            return_code: None,
            failure: jobcell_plugin_host::RunFailure {
                code: "job_type_missing".to_owned(),
                message: format!("no plugin for the job type `{job_type}` is installed"),
            },
        },
        steps: Vec::new(),
        output: Default::default(),
        output_summary: OutputSummary::default(),
        artifacts: Vec::new(),
        cost: Default::default(),
    }
}
