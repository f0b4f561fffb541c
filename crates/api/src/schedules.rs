//! When a job fires: enabling, disabling, seeing ahead. Never fires anything.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use chrono::{DateTime, SecondsFormat, Utc};
use jobcell_engine::JobChange;
use jobcell_model::plan::{Firing, Outage, Reason, Span, zone_database_version};
use jobcell_model::{JobId, JobRef, Problem};
use serde::Serialize;

use crate::Api;
use crate::body::OptionalBody;
use crate::error::ApiError;
use crate::extract::{JobPath, Parameters, bad_parameter};
use crate::jobs::not_found;
use crate::views::{Reply, Timestamp, VERSION};

/// How many instants a preview shows unless the caller says otherwise.
const SHOWN: usize = 10;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v2/jobs/{id}/enable", post(enable))
        .route("/api/v2/jobs/{id}/disable", post(disable))
        .route("/api/v2/jobs/{id}/schedule/preview", get(preview))
}

#[derive(Serialize)]
struct Switched {
    success: bool,
    job_id: JobId,
    enabled: bool,
    next_scheduled_time: Option<Timestamp>,
    version: &'static str,
    message: String,
}

async fn enable(
    State(api): State<Api>,
    JobPath(job): JobPath,
    OptionalBody(_): OptionalBody,
) -> Result<impl IntoResponse, ApiError> {
    switch(&api, &job, true).await
}

async fn disable(
    State(api): State<Api>,
    JobPath(job): JobPath,
    OptionalBody(_): OptionalBody,
) -> Result<impl IntoResponse, ApiError> {
    switch(&api, &job, false).await
}

async fn switch(api: &Api, job: &JobRef, enabled: bool) -> Result<Reply<Switched>, ApiError> {
    let change = JobChange {
        enabled: Some(enabled),
        ..JobChange::default()
    };
    let stored = api.engine().change_job(job, change).await?;
    let word = if enabled { "enabled" } else { "disabled" };
    Ok(Reply(Switched {
        success: true,
        job_id: stored.record.job_id,
        enabled,
        next_scheduled_time: stored.next_scheduled_time.map(Into::into),
        version: VERSION,
        message: format!("the job `{}` is {word}", stored.record.name),
    }))
}

#[derive(Serialize)]
struct Preview {
    success: bool,
    job_id: JobId,
    enabled: bool,
    zone_database: &'static str,
    firings: Vec<FiringView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
}

#[derive(Serialize)]
struct FiringView {
    time: Timestamp,
    local_time: String,
    due: Timestamp,
    timezone: &'static str,
    excluded: bool,
    takes_place: bool,
    reasons: Vec<ReasonView>,
}

#[derive(Serialize)]
struct ReasonView {
    #[serde(flatten)]
    reason: Reason,
    message: String,
}

impl From<Firing> for FiringView {
    fn from(firing: Firing) -> Self {
        let excluded = firing.excluded_by().is_some();
        let takes_place = firing.takes_place();
        let local = firing.local();
        Self {
            time: firing.nominal.into(),
            local_time: local.to_rfc3339_opts(SecondsFormat::Secs, false),
            due: firing.due.into(),
            timezone: firing.zone.name(),
            excluded,
            takes_place,
            reasons: firing
                .reasons
                .into_iter()
                .map(|reason| ReasonView {
                    message: reason.to_string(),
                    reason,
                })
                .collect(),
        }
    }
}

async fn preview(
    State(api): State<Api>,
    JobPath(job): JobPath,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, ApiError> {
    let from = instant(&mut parameters, "from")?;
    let until = instant(&mut parameters, "until")?;
    let outage = outage(&mut parameters)?;
    let count = parameters.limit(SHOWN)?;
    let warnings = parameters.rest();
    let engine = api.engine();
    let stored = engine.job(&job).await?.ok_or_else(|| not_found(&job))?;
    let span = Span {
        after: from.unwrap_or_else(|| engine.now()),
        until: until.unwrap_or(DateTime::<Utc>::MAX_UTC),
        outage,
    };
    let firings = engine.preview(&job, span, count).await?;
    Ok(Reply(Preview {
        success: true,
        job_id: stored.record.job_id,
        enabled: stored.record.enabled,
        zone_database: zone_database_version(),
        firings: firings
            .unwrap_or_default()
            .into_iter()
            .map(Into::into)
            .collect(),
        warnings,
    }))
}

/// A time in which no server is to run, for the sake of the preview.
fn outage(parameters: &mut Parameters) -> Result<Option<Outage>, ApiError> {
    let Some(text) = parameters.text("down")? else {
        return Ok(None);
    };
    let expected = "a span such as `2027-03-28T01:00:00Z/2027-03-28T04:00:00Z`";
    text.parse()
        .map(Some)
        .map_err(|_| bad_parameter("down", &text, expected))
}

fn instant(
    parameters: &mut Parameters,
    name: &'static str,
) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(text) = parameters.text(name)? else {
        return Ok(None);
    };
    DateTime::parse_from_rfc3339(&text)
        .map(|at| Some(at.to_utc()))
        .map_err(|_| bad_parameter(name, &text, "an instant such as `2026-11-25T12:00:00Z`"))
}
