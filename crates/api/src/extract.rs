//! Reads paths and queries, and names what is wrong with them. Bodies are read
//! in `body`.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use jobcell_model::{ExecutionId, JobRef, Problem};

use crate::Api;
use crate::error::ApiError;
use crate::views::warning;

/// The longest id that is looked up, in bytes: 200 characters of UTF-8, which
/// no job can exceed.
const ID_LENGTH: usize = 800;
/// How much of what a client sent is repeated to it, in characters.
const ECHO_LENGTH: usize = 80;
/// The longest page.
const PAGE_LIMIT: usize = 1000;

/// The job that a path names, by UUID or by the job's own `id`.
pub(crate) struct JobPath(pub(crate) JobRef);

/// The connection that a path names.
pub(crate) struct ConnectionPath(pub(crate) String);

/// The run that a path names.
pub(crate) struct ExecutionPath(pub(crate) ExecutionId);

/// The query, taken apart one parameter after the other.
pub(crate) struct Parameters(Vec<(String, String)>);

impl FromRequestParts<Api> for JobPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let text = path_id(parts, api).await?;
        if text.len() > ID_LENGTH {
            let error = format!("there is no job `{}`", shortened(&text));
            return Err(ApiError::not_found("job_not_found", error));
        }
        Ok(Self(JobRef::parse(&text)))
    }
}

impl FromRequestParts<Api> for ConnectionPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let name = path_id(parts, api).await?;
        if name.len() > ID_LENGTH {
            let error = format!("there is no connection `{}`", shortened(&name));
            return Err(ApiError::not_found("connection_not_found", error));
        }
        Ok(Self(name))
    }
}

impl FromRequestParts<Api> for ExecutionPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let text = path_id(parts, api).await?;
        text.parse().map(Self).map_err(|_| {
            let error = format!(
                "there is no run `{}`: the id of a run is a UUID",
                shortened(&text)
            );
            ApiError::not_found("execution_not_found", error)
        })
    }
}

async fn path_id(parts: &mut Parts, api: &Api) -> Result<String, ApiError> {
    let Path(text) = Path::<String>::from_request_parts(parts, api)
        .await
        .map_err(|_| {
            ApiError::malformed(
                "bad_path",
                "the id in the path is not UTF-8 once it is decoded",
            )
        })?;
    Ok(text)
}

impl FromRequestParts<Api> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        if parts.uri.query().is_none() {
            return Ok(Self(Vec::new()));
        }
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(error) => Err(ApiError::malformed(
                "bad_query",
                format!("the query can't be read: {}", error.body_text()),
            )),
        }
    }
}

impl Parameters {
    /// A parameter's text, once.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        let mut found = None;
        while let Some(index) = self.0.iter().position(|(given, _)| given == name) {
            let (_, value) = self.0.remove(index);
            if found.replace(value).is_some() {
                let error = format!("the parameter `{name}` is there more than once");
                return Err(ApiError::malformed("bad_parameter", error).with("parameter", name));
            }
        }
        Ok(found)
    }

    /// A switch.
    pub(crate) fn switch(&mut self, name: &'static str, usual: bool) -> Result<bool, ApiError> {
        let Some(text) = self.text(name)? else {
            return Ok(usual);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(bad_parameter(name, &text, "`true` or `false`")),
        }
    }

    /// How long a page is to be. 0 is no limit, as it was in the original; there
    /// is one all the same, and `next_cursor` leads on.
    pub(crate) fn limit(&mut self, usual: usize) -> Result<usize, ApiError> {
        let Some(text) = self.text("limit")? else {
            return Ok(usual);
        };
        match text.parse() {
            Ok(0) => Ok(PAGE_LIMIT),
            Ok(limit) => Ok(limit.min(PAGE_LIMIT)),
            Err(_) => Err(bad_parameter(
                "limit",
                &text,
                format!("a number; at most {PAGE_LIMIT} are given at a time"),
            )),
        }
    }

    /// Where the page before this one ended.
    pub(crate) fn cursor<T: FromStr>(&mut self) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text("cursor")? else {
            return Ok(None);
        };
        let expected = "the `next_cursor` of an earlier reply";
        text.parse()
            .map(Some)
            .map_err(|_| bad_parameter("cursor", &text, expected))
    }

    /// Refuses what nobody asked for, where a slip would do harm.
    pub(crate) fn nothing_more(self) -> Result<(), ApiError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let error = format!("the parameter `{}` is not known here", shortened(&name));
                Err(ApiError::malformed("unknown_parameter", error))
            }
        }
    }

    /// What nobody asked for: ignored, as the original did, but not in silence.
    pub(crate) fn rest(self) -> Vec<Problem> {
        let ignored = |name: String| {
            warning(
                "unknown_parameter",
                String::new(),
                format!(
                    "the parameter `{}` is not known here and was ignored",
                    shortened(&name)
                ),
            )
        };
        self.0.into_iter().map(|(name, _)| ignored(name)).collect()
    }
}

/// A parameter whose value can't be used.
pub(crate) fn bad_parameter(name: &'static str, given: &str, expected: impl Display) -> ApiError {
    let error = format!(
        "the parameter `{name}` should be {expected}, not `{}`",
        shortened(given)
    );
    ApiError::malformed("bad_parameter", error).with("parameter", name)
}

/// What a client sent, cut to what fits into a sentence.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(ECHO_LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A name as a part of a path (RFC 3986).
pub(crate) fn percent_encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
