//! One run: its row, its log, its end before its time.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use jobcell_engine::CancelError;
use jobcell_model::{Execution, ExecutionId, OutputStream, RunOutput};
use serde::Serialize;

use crate::Api;
use crate::body::OptionalBody;
use crate::error::ApiError;
use crate::extract::{ExecutionPath, Parameters, bad_parameter};
use crate::jobs::ACTOR;
use crate::plain::{self, Ansi};
use crate::views::{ExecutionView, OutputText, Reply, VERSION};

/// Says with a log whether more of it is to come.
const X_EXECUTION_STATUS: HeaderName = HeaderName::from_static("x-execution-status");

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v2/executions/{id}", get(read))
        .route("/api/v2/executions/{id}/log", get(log))
        .route("/api/v2/executions/{id}/cancel", post(cancel))
}

#[derive(Serialize)]
struct ExecutionRead<'a> {
    success: bool,
    execution: ExecutionView<'a>,
}

async fn read(
    State(api): State<Api>,
    ExecutionPath(id): ExecutionPath,
) -> Result<impl IntoResponse, ApiError> {
    let (execution, output) = found(&api, id).await?;
    let output = OutputText::full(output.as_ref());
    let reply = ExecutionRead {
        success: true,
        execution: ExecutionView::new(&execution, output),
    };
    Ok(Reply(reply).into_response())
}

async fn log(
    State(api): State<Api>,
    ExecutionPath(id): ExecutionPath,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, ApiError> {
    let wanted = wanted_streams(&mut parameters)?;
    let ansi = Ansi::wanted(&mut parameters)?;
    let text = |output: &RunOutput| match ansi {
        Ansi::Keep => wanted.text(output),
        Ansi::Strip => plain::text_of(output, |stream| wanted.has(stream)),
    };
    let (execution, output) = found(&api, id).await?;
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (
            X_EXECUTION_STATUS,
            HeaderValue::from_static(execution.status.as_str()),
        ),
    ];
    Ok((
        headers,
        output.map(|output| text(&output)).unwrap_or_default(),
    ))
}

/// What the caller wants to see of an output: both streams unless it names one.
#[derive(Clone, Copy)]
enum Wanted {
    Both,
    One(OutputStream),
    All,
}

impl Wanted {
    fn has(self, stream: OutputStream) -> bool {
        match self {
            Self::Both => stream != OutputStream::Log,
            Self::One(one) => stream == one,
            Self::All => true,
        }
    }

    fn text(self, output: &RunOutput) -> String {
        output.text_of(|stream| self.has(stream))
    }
}

fn wanted_streams(parameters: &mut Parameters) -> Result<Wanted, ApiError> {
    let Some(name) = parameters.text("stream")? else {
        return Ok(Wanted::Both);
    };
    match name.as_str() {
        "stdout" => Ok(Wanted::One(OutputStream::Stdout)),
        "stderr" => Ok(Wanted::One(OutputStream::Stderr)),
        "log" => Ok(Wanted::One(OutputStream::Log)),
        "all" => Ok(Wanted::All),
        _ => Err(bad_parameter(
            "stream",
            &name,
            "`stdout`, `stderr`, `log` or `all`",
        )),
    }
}

#[derive(Serialize)]
struct Cancelling {
    success: bool,
    execution_id: ExecutionId,
    version: &'static str,
    message: String,
}

async fn cancel(
    State(api): State<Api>,
    ExecutionPath(id): ExecutionPath,
    OptionalBody(_): OptionalBody,
) -> Result<impl IntoResponse, ApiError> {
    match api.engine().cancel_run(id, ACTOR).await {
        Ok(()) => {
            let message = format!(
                "the run is being ended; /api/v2/executions/{id} says `cancelled` once all of it \
                 is gone"
            );
            let reply = Reply(Cancelling {
                success: true,
                execution_id: id,
                version: VERSION,
                message,
            });
            Ok((StatusCode::ACCEPTED, reply))
        }
        Err(CancelError::Storage(error)) => Err(error.into()),
        Err(error @ CancelError::NotRunning(_)) => {
            let execution = api.engine().store().execution(id).await?;
            let execution = execution.ok_or_else(|| not_found(id))?;
            let status = execution.status.as_str();
            let error = format!("{error}: its status is `{status}`");
            Err(ApiError::conflict("execution_not_running", error).with("execution_status", status))
        }
    }
}

async fn found(api: &Api, id: ExecutionId) -> Result<(Execution, Option<RunOutput>), ApiError> {
    let store = api.engine().store();
    let execution = store.execution(id).await?.ok_or_else(|| not_found(id))?;
    let output = store.output(id).await?;
    Ok((execution, output))
}

pub(crate) fn not_found(id: ExecutionId) -> ApiError {
    ApiError::not_found("execution_not_found", format!("there is no run `{id}`"))
}
