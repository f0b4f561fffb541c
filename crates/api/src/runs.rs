//! Runs a job now: waits for its end, or answers as soon as its start is
//! durable. A client that goes away does not end its run.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jobcell_engine::{RunOutcome, StartRequest};
use jobcell_model::{ExecutionId, JobId, Problem, RunState, Trigger};
use serde::Serialize;

use crate::Api;
use crate::body::OptionalBody;
use crate::error::ApiError;
use crate::extract::{JobPath, Parameters};
use crate::jobs::ACTOR;
use crate::members::Members;
use crate::views::{Reply, StepView, Timestamp, VERSION};

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/api/v2/jobs/{id}/run", post(run))
}

#[derive(Serialize)]
struct RunEnded<'a> {
    success: bool,
    execution_id: ExecutionId,
    job_id: JobId,
    status: RunState,
    duration_seconds: Option<f64>,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    output: String,
    output_dropped_bytes: u64,
    error: Option<&'a str>,
    error_code: Option<&'a str>,
    return_code: Option<i32>,
    step_results: Vec<StepView<'a>>,
    #[serde(rename = "_version")]
    version: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
}

#[derive(Serialize)]
struct RunStarted {
    success: bool,
    execution_id: ExecutionId,
    job_id: JobId,
    status: RunState,
    message: String,
    #[serde(rename = "_version")]
    version: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
}

async fn run(
    State(api): State<Api>,
    JobPath(job): JobPath,
    mut parameters: Parameters,
    OptionalBody(members): OptionalBody,
) -> Result<Response, ApiError> {
    let wait = parameters.switch("wait", true)?;
    let mut warnings = parameters.rest();
    warnings.extend(ignored(members)?);
    let request = StartRequest {
        trigger: Trigger::Manual,
        executed_by: ACTOR.to_owned(),
    };
    let started = api.engine().start_run(&job, request).await?;
    if wait {
        let outcome = started.finished().await?;
        return Ok(ended(&outcome, warnings));
    }
    let execution_id = started.execution_id;
    let location = format!("/api/v2/executions/{execution_id}");
    let message = format!("the run was started; {location} says how it goes");
    let reply = Reply(RunStarted {
        success: true,
        execution_id,
        job_id: started.job_id,
        status: RunState::Running,
        message,
        version: VERSION,
        warnings,
    });
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], reply).into_response())
}

/// A body says nothing that a run heeds. `parameters` alone is refused: who
/// sends them expects another run than the one that would happen.
fn ignored(members: Members) -> Result<Vec<Problem>, ApiError> {
    if members.has("parameters") {
        let error = "a run takes its `parameters` from the job: change them there";
        return Err(ApiError::malformed("bad_member", error).with("member", "parameters"));
    }
    Ok(members.rest())
}

fn ended(outcome: &RunOutcome, warnings: Vec<Problem>) -> Response {
    let execution = &outcome.execution;
    Reply(RunEnded {
        success: execution.status == RunState::Success,
        execution_id: execution.execution_id,
        job_id: execution.job_id,
        status: execution.status,
        duration_seconds: execution.duration_seconds,
        start_time: execution.start_time.into(),
        end_time: execution.end_time.map(Into::into),
        output: outcome.output.text(),
        output_dropped_bytes: execution.output.dropped_bytes,
        error: execution.error_message.as_deref(),
        error_code: execution.error_code.as_deref(),
        return_code: execution.return_code,
        step_results: execution.step_results.iter().map(StepView::from).collect(),
        version: VERSION,
        warnings,
    })
    .into_response()
}
