//! The files that runs left: listed, and given as they are. Never shows one in a
//! browser: what a job wrote is nobody's page.

use axum::Router;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use axum::routing::get;
use jobcell_model::{ArtifactInfo, ExecutionId};
use serde::Serialize;

use crate::Api;
use crate::error::ApiError;
use crate::extract::{ExecutionPath, percent_encoded, shortened};
use crate::views::Reply;

/// Says whether the plugin ended the file.
const COMPLETE: HeaderName = HeaderName::from_static("artifact-complete");

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v2/executions/{id}/artifacts", get(list))
        .route("/api/v2/executions/{id}/artifacts/{name}", get(read))
}

#[derive(Serialize)]
struct List {
    success: bool,
    execution_id: ExecutionId,
    artifacts: Vec<View>,
    total_count: usize,
}

#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    info: ArtifactInfo,
    url: String,
}

async fn list(
    State(api): State<Api>,
    ExecutionPath(id): ExecutionPath,
) -> Result<impl IntoResponse, ApiError> {
    let store = api.engine().store();
    if store.execution(id).await?.is_none() {
        let error = format!("there is no run `{id}`");
        return Err(ApiError::not_found("execution_not_found", error));
    }
    let found = store.artifacts(id).await?.into_iter();
    let artifacts: Vec<View> = found
        .map(|info| View {
            url: format!(
                "/api/v2/executions/{id}/artifacts/{}",
                percent_encoded(&info.name)
            ),
            info,
        })
        .collect();
    Ok(Reply(List {
        success: true,
        execution_id: id,
        total_count: artifacts.len(),
        artifacts,
    }))
}

/// A run and a name.
struct ArtifactPath(ExecutionId, String);

impl FromRequestParts<Api> for ArtifactPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, api).await;
        let Path((id, name)) = path.map_err(|_| {
            ApiError::malformed("bad_path", "the path is not UTF-8 once it is decoded")
        })?;
        let id = id.parse().map_err(|_| none(&id, &name))?;
        Ok(Self(id, name))
    }
}

fn none(id: &str, name: &str) -> ApiError {
    let (id, name) = (shortened(id), shortened(name));
    let error = format!("the run `{id}` left no artifact `{name}`");
    ApiError::not_found("artifact_not_found", error)
}

async fn read(
    State(api): State<Api>,
    ArtifactPath(id, name): ArtifactPath,
) -> Result<impl IntoResponse, ApiError> {
    let found = api.engine().store().artifact(id, &name).await?;
    let found = found.ok_or_else(|| none(&id.to_string(), &name))?;
    let media_type = HeaderValue::from_str(&found.media_type);
    // The form of RFC 8187 takes any name.
    let disposition = format!("attachment; filename*=UTF-8''{}", percent_encoded(&name));
    let plain = HeaderValue::from_static("application/octet-stream");
    let headers = [
        (CONTENT_TYPE, media_type.unwrap_or(plain)),
        (
            CONTENT_DISPOSITION,
            HeaderValue::from_str(&disposition)
                .unwrap_or_else(|_| HeaderValue::from_static("attachment")),
        ),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (
            COMPLETE,
            HeaderValue::from_static(if found.complete { "true" } else { "false" }),
        ),
    ];
    Ok((headers, found.bytes))
}
