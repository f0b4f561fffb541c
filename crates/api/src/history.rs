//! The runs of one job, newest first, also of one that was deleted.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use jobcell_model::{Execution, ExecutionId, JobId, JobRef, Problem};
use serde::Serialize;

use crate::Api;
use crate::error::ApiError;
use crate::extract::{JobPath, Parameters};
use crate::jobs::not_found;
use crate::views::{ExecutionView, OutputText, Reply};

/// How many runs a page has unless the caller says otherwise: the original's.
const PAGE: usize = 50;

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/api/v2/jobs/{id}/history", get(history))
}

#[derive(Serialize)]
struct History<'a> {
    success: bool,
    job_id: JobId,
    execution_history: Vec<ExecutionView<'a>>,
    total_count: usize,
    next_cursor: Option<ExecutionId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
}

async fn history(
    State(api): State<Api>,
    JobPath(job): JobPath,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, ApiError> {
    let limit = parameters.limit(PAGE)?;
    let cursor = parameters.cursor::<ExecutionId>()?;
    let warnings = parameters.rest();
    let stored = api
        .engine()
        .job(&job)
        .await?
        .map(|stored| stored.record.job_id);
    let job_id = match (stored, &job) {
        (Some(job_id), _) | (None, &JobRef::Id(job_id)) => job_id,
        (None, JobRef::Key(_)) => return Err(not_found(&job)),
    };
    let page = api.engine().store().history(job_id, cursor, limit).await?;
    if stored.is_none() && page.items.is_empty() && cursor.is_none() {
        return Err(not_found(&job));
    }
    let mut rows = Vec::with_capacity(page.items.len());
    for execution in &page.items {
        rows.push(ExecutionView::new(
            execution,
            listed_output(&api, execution).await?,
        ));
    }
    let last = page.items.last().map(|execution| execution.execution_id);
    Ok(Reply(History {
        success: true,
        job_id,
        total_count: rows.len(),
        execution_history: rows,
        next_cursor: last.filter(|_| page.more),
        warnings,
    })
    .into_response())
}

async fn listed_output(api: &Api, execution: &Execution) -> Result<OutputText, ApiError> {
    let written = execution.output.stdout_bytes + execution.output.stderr_bytes;
    if execution.status.is_final() && written == 0 {
        // Most rows of most lists: nothing to read.
        return Ok(OutputText::empty());
    }
    let output = api.engine().store().output(execution.execution_id).await?;
    Ok(OutputText::tail(output))
}
