//! The one error of the API and its body, `application/problem+json` (RFC 9457)
//! with the original's `success` and `error`. The only place that turns errors
//! of the engine and the store into status codes.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jobcell_engine::connections::SaveConnectionError;
use jobcell_engine::{DeleteJobError, RunLost, SaveJobError, StartError};
use jobcell_model::Problem;
use jobcell_store::StorageError;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::views::sentence;

/// Seconds after which a client may ask again when the server goes down: what
/// a restart takes.
const RESTART_SECONDS: u32 = 5;
/// The same when as many runs go on as may.
const BUSY_SECONDS: u32 = 1;
/// The same when somebody has to make room first.
const MAKE_ROOM_SECONDS: u32 = 60;

/// What a request gets instead of its answer.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Details>);

#[derive(Debug)]
struct Details {
    status: StatusCode,
    code: &'static str,
    error: String,
    errors: Vec<Problem>,
    facts: Map<String, Value>,
    retry_after: Option<u32>,
}

#[derive(Serialize)]
struct Body<'a> {
    success: bool,
    error: &'a str,
    code: &'static str,
    status: u16,
    title: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Problem],
    #[serde(flatten)]
    facts: &'a Map<String, Value>,
}

impl ApiError {
    /// An error with a stable code and a sentence for people.
    pub(crate) fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        Self(Box::new(Details {
            status,
            code,
            error: error.into(),
            errors: Vec::new(),
            facts: Map::new(),
            retry_after: None,
        }))
    }

    /// A request that can't be understood.
    pub(crate) fn malformed(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }

    /// Something that is not there.
    pub(crate) fn not_found(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, error)
    }

    /// Something that the present state rules out.
    pub(crate) fn conflict(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, error)
    }

    /// A failure of ours; its details are in the log.
    pub(crate) fn internal(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, error)
    }

    /// A job that has errors; its places are listed, and the first is in the
    /// sentence, so that it is seen without a program.
    pub(crate) fn invalid_job(what: &str, problems: Vec<Problem>) -> Self {
        let mut error = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_job",
            sentence(what, &problems),
        );
        error.0.errors = problems;
        error
    }

    /// Adds a fact for programs.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.facts.insert(name.to_owned(), value.into());
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// The same error with another status and code.
    pub(crate) fn recoded(mut self, status: StatusCode, code: &'static str) -> Self {
        self.0.status = status;
        self.0.code = code;
        self
    }

    /// For a server that is not ready.
    pub(crate) fn unavailable(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error).retry_after(RESTART_SECONDS)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Details {
            status,
            code,
            error,
            errors,
            facts,
            retry_after,
        } = *self.0;
        let body = Body {
            success: false,
            error: &error,
            code,
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("Error"),
            errors: &errors,
            facts: &facts,
        };
        let body = serde_json::to_vec(&body).expect("strings and numbers have a JSON form");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "storage_full",
                format!("{error}: make room in the server's data folder, then try again"),
            )
            .retry_after(MAKE_ROOM_SECONDS),
            StorageError::Closed => {
                Self::unavailable("shutting_down", "the server is shutting down")
            }
            StorageError::Corrupt { .. } | StorageError::Database { .. } => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, source, "the storage failed");
                Self::internal("storage_failed", format!("{error}; see the server's log"))
            }
        }
    }
}

impl From<SaveJobError> for ApiError {
    fn from(error: SaveJobError) -> Self {
        let sentence = error.to_string();
        match error {
            SaveJobError::Invalid(problems) => Self::invalid_job("the job is not valid", problems),
            SaveJobError::KeyTaken { job_id, .. } => {
                Self::conflict("job_exists", sentence).with("job_id", job_id.to_string())
            }
            SaveJobError::NotFound(_) => Self::not_found("job_not_found", sentence),
            SaveJobError::Changed { revision } => {
                Self::conflict("job_changed", sentence).with("revision", revision)
            }
            SaveJobError::Storage(error) => error.into(),
        }
    }
}

impl From<SaveConnectionError> for ApiError {
    fn from(error: SaveConnectionError) -> Self {
        let sentence = error.to_string();
        match error {
            SaveConnectionError::Invalid(problem) => {
                let field = problem.field;
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "invalid_connection",
                    sentence,
                )
                .with("member", field)
            }
            SaveConnectionError::Exists(_) => Self::conflict("connection_exists", sentence),
            SaveConnectionError::NotFound(_) => Self::not_found("connection_not_found", sentence),
            SaveConnectionError::Fixed { .. } => Self::conflict("connection_fixed", sentence),
            SaveConnectionError::Changed { revision } => {
                Self::conflict("connection_changed", sentence).with("revision", revision)
            }
            SaveConnectionError::PasswordNeeded => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "password_needed",
                sentence,
            )
            .with("member", "password"),
            SaveConnectionError::NoPassword => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_connection",
                sentence,
            )
            .with("member", "password"),
            SaveConnectionError::NotSealed(_) => Self::internal("not_sealed", sentence),
            SaveConnectionError::Storage(error) => error.into(),
        }
    }
}

impl From<DeleteJobError> for ApiError {
    fn from(error: DeleteJobError) -> Self {
        match error {
            DeleteJobError::NotFound(_) => Self::not_found("job_not_found", error.to_string()),
            DeleteJobError::Storage(error) => error.into(),
        }
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        let sentence = error.to_string();
        match error {
            StartError::NotFound(_) => Self::not_found("job_not_found", sentence),
            StartError::Disabled { .. } => Self::conflict("job_disabled", sentence),
            StartError::Busy { execution_id, .. } => {
                Self::conflict("job_busy", sentence).with("execution_id", execution_id.to_string())
            }
            StartError::TypeBusy { .. } => {
                Self::unavailable("job_type_busy", sentence).retry_after(BUSY_SECONDS)
            }
            StartError::Invalid { problems, .. } => Self::invalid_job(&sentence, problems),
            StartError::ShuttingDown => Self::unavailable("shutting_down", sentence),
            StartError::Storage(error) => error.into(),
        }
    }
}

impl From<RunLost> for ApiError {
    fn from(error: RunLost) -> Self {
        tracing::error!(%error, "a run was lost");
        Self::internal("run_lost", error.to_string())
            .with("execution_id", error.execution_id.to_string())
    }
}
