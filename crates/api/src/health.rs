//! Whether the process lives, and whether it can do its work.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;

use crate::Api;
use crate::error::ApiError;
use crate::views::Reply;

/// How long the store may take to answer before the server counts as not ready.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
}

#[derive(Serialize)]
struct Live {
    success: bool,
    status: &'static str,
}

#[derive(Serialize)]
struct Ready {
    success: bool,
    status: &'static str,
    jobs: u64,
    running: usize,
    job_types: usize,
    server_version: &'static str,
}

async fn live() -> impl IntoResponse {
    Reply(Live {
        success: true,
        status: "live",
    })
}

async fn ready(State(api): State<Api>) -> Result<impl IntoResponse, ApiError> {
    let counts = tokio::time::timeout(PATIENCE, api.engine().store().job_counts()).await;
    let (jobs, _) = match counts {
        Ok(counts) => counts.map_err(|error| {
            ApiError::unavailable("not_ready", format!("the store can't be read: {error}"))
        })?,
        Err(_) => {
            let error = format!("the store did not answer within {} s", PATIENCE.as_secs());
            return Err(ApiError::unavailable("not_ready", error));
        }
    };
    Ok(Reply(Ready {
        success: true,
        status: "ready",
        jobs,
        running: api.engine().running(),
        job_types: api.engine().job_types().iter().count(),
        server_version: env!("CARGO_PKG_VERSION"),
    }))
}
