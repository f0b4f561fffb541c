//! Stored jobs: list, create, read, change, delete, check.

use axum::Router;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use jobcell_engine::{JobChange, NewJob, SaveJobError};
use jobcell_model::{JobId, Problem, StoredJob};
use serde::Serialize;
use serde_json::Value;

use crate::Api;
use crate::body::JobBody;
use crate::error::ApiError;
use crate::extract::{JobPath, Parameters};
use crate::members::Members;
use crate::views::{JobView, Reply, VERSION, sentence};

/// How many jobs a page has unless the caller says otherwise: the original gave
/// all, so a client of it must not meet a short page.
const PAGE: usize = 1000;
/// Who acts, until callers have names.
pub(crate) const ACTOR: &str = "api";

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v2/jobs", get(list).post(create))
        .route("/api/v2/jobs/validate", post(validate))
        .route("/api/v2/jobs/{id}", get(read).put(change).delete(remove))
}

#[derive(Serialize)]
struct JobList<'a> {
    success: bool,
    jobs: Vec<JobView<'a>>,
    total_count: u64,
    next_cursor: Option<JobId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
}

async fn list(
    State(api): State<Api>,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, ApiError> {
    let enabled_only = parameters.switch("enabled_only", false)?;
    let limit = parameters.limit(PAGE)?;
    let cursor = parameters.cursor::<JobId>()?;
    let warnings = parameters.rest();
    let store = api.engine().store();
    let page = store.jobs(cursor, limit, enabled_only).await?;
    let (all, enabled) = store.job_counts().await?;
    let last = page.items.last().map(|job| job.record.job_id);
    Ok(Reply(JobList {
        success: true,
        jobs: page.items.iter().map(JobView::from).collect(),
        total_count: if enabled_only { enabled } else { all },
        next_cursor: last.filter(|_| page.more),
        warnings,
    })
    .into_response())
}

#[derive(Serialize)]
struct Created<'a> {
    success: bool,
    job_id: JobId,
    key: &'a str,
    version: &'static str,
    message: String,
    warnings: Vec<Problem>,
}

async fn create(State(api): State<Api>, body: JobBody) -> Result<impl IntoResponse, ApiError> {
    let (new, mut warnings) = new_job(body)?;
    let job = api.engine().create_job(new).await?.record;
    warnings.extend(api.engine().doubts(&job).await?);
    let headers = [
        (LOCATION, format!("/api/v2/jobs/{}", job.job_id)),
        (ETAG, etag(job.revision)),
    ];
    let reply = Reply(Created {
        success: true,
        job_id: job.job_id,
        key: &job.key,
        version: VERSION,
        message: format!("the job `{}` was created", job.name),
        warnings,
    });
    Ok((StatusCode::CREATED, headers, reply).into_response())
}

fn new_job(body: JobBody) -> Result<(NewJob, Vec<Problem>), ApiError> {
    let mut members = match body {
        JobBody::Yaml(yaml) => {
            let new = NewJob {
                yaml,
                created_by: ACTOR.to_owned(),
                ..NewJob::default()
            };
            return Ok((new, Vec::new()));
        }
        JobBody::Json(members) => members,
    };
    let yaml = members.yaml()?.ok_or_else(|| {
        ApiError::malformed(
            "bad_member",
            "`yaml_config` is missing: the job's YAML, as a string",
        )
        .with("member", "yaml_config")
    })?;
    let new = NewJob {
        yaml,
        name: members.name()?,
        description: members.description()?,
        enabled: members.switch("enabled")?,
        created_by: ACTOR.to_owned(),
    };
    Ok((new, members.rest()))
}

#[derive(Serialize)]
struct JobRead<'a> {
    success: bool,
    job: JobDetails<'a>,
}

#[derive(Serialize)]
struct JobDetails<'a> {
    #[serde(flatten)]
    job: JobView<'a>,
    parsed_config: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
    #[serde(rename = "_version")]
    version: &'static str,
    #[serde(rename = "_format")]
    format: &'static str,
}

impl<'a> JobDetails<'a> {
    fn new(api: &Api, job: &'a StoredJob) -> Self {
        // What was valid once need not be so with the job types of today.
        let (parsed_config, problems) = match api.engine().document(&job.record) {
            Ok(document) => (Some(document.to_json()), Vec::new()),
            Err(problems) => (None, problems),
        };
        Self {
            job: JobView::from(job),
            parsed_config,
            problems,
            version: VERSION,
            format: "yaml",
        }
    }
}

async fn read(
    State(api): State<Api>,
    JobPath(job): JobPath,
) -> Result<impl IntoResponse, ApiError> {
    let stored = api
        .engine()
        .job(&job)
        .await?
        .ok_or_else(|| not_found(&job))?;
    let headers = [(ETAG, etag(stored.record.revision))];
    let reply = Reply(JobRead {
        success: true,
        job: JobDetails::new(&api, &stored),
    });
    Ok((headers, reply).into_response())
}

#[derive(Serialize)]
struct Changed<'a> {
    success: bool,
    version: &'static str,
    message: String,
    job: JobDetails<'a>,
    warnings: Vec<Problem>,
}

async fn change(
    State(api): State<Api>,
    JobPath(job): JobPath,
    headers: HeaderMap,
    body: JobBody,
) -> Result<impl IntoResponse, ApiError> {
    let precondition = precondition(&headers)?;
    let (mut change, mut warnings) = job_change(body)?;
    change.expected_revision = precondition.or(change.expected_revision);
    let new_yaml = change.yaml.is_some();
    let changed = api.engine().change_job(&job, change).await;
    let stored = changed.map_err(|error| match error {
        // RFC 9110 has a status of its own for a failed `If-Match`.
        SaveJobError::Changed { .. } if precondition.is_some() => {
            ApiError::from(error).recoded(StatusCode::PRECONDITION_FAILED, "precondition_failed")
        }
        error => error.into(),
    })?;
    if new_yaml {
        warnings.extend(api.engine().doubts(&stored.record).await?);
    }
    let reply = Reply(Changed {
        success: true,
        version: VERSION,
        message: format!("the job `{}` was changed", stored.record.name),
        job: JobDetails::new(&api, &stored),
        warnings,
    });
    Ok(([(ETAG, etag(stored.record.revision))], reply).into_response())
}

fn job_change(body: JobBody) -> Result<(JobChange, Vec<Problem>), ApiError> {
    let mut members = match body {
        JobBody::Yaml(yaml) => {
            return Ok((
                JobChange {
                    yaml: Some(yaml),
                    ..JobChange::default()
                },
                Vec::new(),
            ));
        }
        JobBody::Json(members) => members,
    };
    let change = JobChange {
        yaml: members.yaml()?,
        name: members.name()?,
        description: members.description()?,
        enabled: members.switch("enabled")?,
        expected_revision: members.count("revision")?,
    };
    let warnings = members.rest();
    let JobChange {
        yaml,
        name,
        description,
        enabled,
        ..
    } = &change;
    if yaml.is_none() && name.is_none() && description.is_none() && enabled.is_none() {
        return Err(ApiError::malformed(
            "nothing_to_change",
            "the body has nothing to change: give any of `name`, `description`, `enabled`, \
             `yaml_config`",
        ));
    }
    Ok((change, warnings))
}

#[derive(Serialize)]
struct Deleted {
    success: bool,
    job_id: JobId,
    version: &'static str,
    message: String,
}

async fn remove(
    State(api): State<Api>,
    JobPath(job): JobPath,
) -> Result<impl IntoResponse, ApiError> {
    let job_id = api.engine().delete_job(&job).await?;
    let message =
        format!("the job was deleted; its history stays at /api/v2/jobs/{job_id}/history");
    Ok(Reply(Deleted {
        success: true,
        job_id,
        version: VERSION,
        message,
    }))
}

#[derive(Serialize)]
struct Validated {
    success: bool,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    parsed_config: Option<Value>,
}

async fn validate(State(api): State<Api>, body: JobBody) -> Result<impl IntoResponse, ApiError> {
    let (yaml, mut warnings) = match body {
        JobBody::Yaml(yaml) => (yaml, Vec::new()),
        JobBody::Json(members) => yaml_to_check(members)?,
    };
    Ok(Reply(match api.engine().check(&yaml).await {
        Ok(checked) => {
            warnings.extend(checked.warnings);
            Validated {
                success: true,
                valid: true,
                error: None,
                problems: Vec::new(),
                warnings,
                parsed_config: Some(checked.document.to_json()),
            }
        }
        Err(problems) => Validated {
            success: true,
            valid: false,
            error: Some(sentence("the job is not valid", &problems)),
            problems,
            warnings,
            parsed_config: None,
        },
    }))
}

fn yaml_to_check(mut members: Members) -> Result<(String, Vec<Problem>), ApiError> {
    let yaml = members.yaml()?.ok_or_else(|| {
        ApiError::malformed(
            "bad_member",
            "`yaml_config` is missing: the YAML to check, as a string",
        )
        .with("member", "yaml_config")
    })?;
    Ok((yaml, members.rest()))
}

/// What is said of a job that is not there.
pub(crate) fn not_found(job: &jobcell_model::JobRef) -> ApiError {
    ApiError::not_found("job_not_found", format!("there is no job `{job}`"))
}

fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// The revision that `If-Match` asks for.
fn precondition(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    revision
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            let name: HeaderName = IF_MATCH;
            ApiError::malformed(
                "bad_header",
                format!("`{name}` should be the `ETag` of an earlier reply, e.g. `\"3\"`, or `*`"),
            )
        })
}
