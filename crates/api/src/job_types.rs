//! What kinds of jobs this server can run, and what a job of each looks like.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use serde_json::Value;

use crate::Api;
use crate::views::Reply;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v2/job-types", get(job_types))
        .route("/api/v2/job-schema", get(job_schema))
}

#[derive(Serialize)]
struct JobTypeList<'a> {
    success: bool,
    job_types: Vec<JobTypeView<'a>>,
    total_count: usize,
}

#[derive(Serialize)]
struct JobTypeView<'a> {
    name: &'a str,
    version: &'a str,
    summary: &'a str,
    configuration_schema: &'a Value,
    plugin: &'a str,
}

async fn job_types(State(api): State<Api>) -> impl IntoResponse {
    let plugins = api.engine().job_types().iter().map(|plugin| {
        let description = plugin.description();
        JobTypeView {
            name: &description.name,
            version: &description.version,
            summary: &description.summary,
            configuration_schema: &description.configuration_schema,
            plugin: plugin.identity(),
        }
    });
    let job_types: Vec<_> = plugins.collect();
    Reply(JobTypeList {
        success: true,
        total_count: job_types.len(),
        job_types,
    })
    .into_response()
}

/// The JSON Schema as it is, so that an editor can be pointed at this address.
async fn job_schema(State(api): State<Api>) -> impl IntoResponse {
    let schema = jobcell_model::job_schema(api.engine().job_types().schemas());
    let content_type = HeaderValue::from_static("application/schema+json");
    ([(CONTENT_TYPE, content_type)], schema.to_string())
}
