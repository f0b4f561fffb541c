//! Reads bodies: how large, how slow, of which type, in which encoding. What
//! is in them is read in `members` and in the resources.

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use crate::Api;
use crate::error::ApiError;
use crate::extract::shortened;
use crate::members::{Members, kind};

/// How much of a body that is too large is read and thrown away, so that the
/// client gets to read why it was refused. A client that sends more than that
/// finds its connection closed.
const DISCARD_LIMIT: u64 = 64 << 20;
/// How long that may take.
const DISCARD_TIME: std::time::Duration = std::time::Duration::from_secs(10);

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// A body that describes a job: JSON members, or the YAML itself.
pub(crate) enum JobBody {
    /// An object.
    Json(Members),
    /// The job as it is.
    Yaml(String),
}

/// A body that is a JSON object.
pub(crate) struct JsonObject(pub(crate) Map<String, Value>);

/// A body that may be missing, and is a JSON object otherwise.
pub(crate) struct OptionalBody(pub(crate) Members);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
}

impl FromRequest<Api> for JobBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let accepted = format!("{JSON} or {YAML}");
        let (parts, body) = request.into_parts();
        if is_empty(&body) {
            return Err(ApiError::malformed(
                "body_missing",
                format!("the request needs a body: the job, as {accepted}"),
            ));
        }
        let Some(format) = format(&parts.headers) else {
            discard(&parts.headers, body).await;
            return Err(unsupported(&parts.headers, &accepted));
        };
        let bytes = read(api, &parts.headers, body).await?;
        match format {
            Format::Json => Members::new(json_object(&bytes)?).map(Self::Json),
            Format::Yaml => text(bytes).map(Self::Yaml),
        }
    }
}

impl FromRequest<Api> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if format(&parts.headers) != Some(Format::Json) && !is_empty(&body) {
            discard(&parts.headers, body).await;
            return Err(unsupported(&parts.headers, JSON));
        }
        let bytes = read(api, &parts.headers, body).await?;
        if bytes.is_empty() {
            let error = format!("the request needs a body, as {JSON}");
            return Err(ApiError::malformed("body_missing", error));
        }
        match json_object(&bytes)? {
            Value::Object(members) => Ok(Self(members)),
            other => Err(no_object(&other)),
        }
    }
}

impl FromRequest<Api> for OptionalBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if is_empty(&body) {
            return Ok(Self(Members::default()));
        }
        let bytes = read(api, &parts.headers, body).await?;
        if bytes.is_empty() {
            return Ok(Self(Members::default()));
        }
        if format(&parts.headers) != Some(Format::Json) {
            return Err(unsupported(&parts.headers, JSON));
        }
        Members::new(json_object(&bytes)?).map(Self)
    }
}

fn is_empty(body: &Body) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

/// The format that the headers promise, if it is one of ours.
fn format(headers: &HeaderMap) -> Option<Format> {
    let essence = essence(headers)?;
    match essence.as_str() {
        JSON | "text/json" => Some(Format::Json),
        YAML | "application/x-yaml" | "text/yaml" | "text/x-yaml" | "text/vnd.yaml" => {
            Some(Format::Yaml)
        }
        _ if essence.starts_with("application/") && essence.ends_with("+json") => {
            Some(Format::Json)
        }
        _ => None,
    }
}

/// The media type of a body that is not compressed and in UTF-8, in lower case and
/// without its parameters.
pub(crate) fn essence(headers: &HeaderMap) -> Option<String> {
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return None;
    }
    let content_type = headers
        .get(CONTENT_TYPE)?
        .to_str()
        .ok()?
        .to_ascii_lowercase();
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next()?.to_owned();
    let charset = parts.find_map(|parameter| parameter.strip_prefix("charset="));
    if charset
        .is_some_and(|charset| !matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"))
    {
        return None;
    }
    Some(essence)
}

pub(crate) fn unsupported(headers: &HeaderMap, accepted: &str) -> ApiError {
    let given = |name| {
        headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
    };
    let found = match (given(CONTENT_ENCODING), given(CONTENT_TYPE)) {
        (Some(encoding), _) if encoding != "identity" => {
            format!("the body is encoded as `{}`", shortened(&encoding))
        }
        (_, Some(content_type)) => format!("its `Content-Type` is `{}`", shortened(&content_type)),
        (_, None) => "it has no `Content-Type`".to_owned(),
    };
    let error = format!("the body should be {accepted} in UTF-8, not compressed, but {found}");
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        error,
    )
}

async fn read(api: &Api, headers: &HeaderMap, mut body: Body) -> Result<Vec<u8>, ApiError> {
    let limit = api.body_limit();
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if declared
        .is_some_and(|length: u64| usize::try_from(length).is_ok_and(|length| length > limit))
    {
        discard(headers, body).await;
        return Err(too_large(limit));
    }
    let bytes = match tokio::time::timeout(api.body_timeout(), collect(&mut body, limit)).await {
        Ok(bytes) => bytes?,
        Err(_) => {
            let seconds = api.body_timeout().as_secs();
            let error = format!("the body did not arrive within {seconds} s");
            return Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                error,
            ));
        }
    };
    match bytes {
        Some(bytes) => Ok(bytes),
        None => {
            discard(headers, body).await;
            Err(too_large(limit))
        }
    }
}

/// The whole body; none when it is larger than `limit`.
async fn collect(body: &mut Body, limit: usize) -> Result<Option<Vec<u8>>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            ApiError::malformed(
                "body_unreadable",
                format!("the body can't be read: {error}"),
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes))
}

/// Reads what is left of a refused body and keeps nothing of it.
pub(crate) async fn discard(headers: &HeaderMap, mut body: Body) {
    // A client that waits for leave to send gets its answer instead.
    if headers.contains_key(EXPECT) {
        return;
    }
    let discarding = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, |data| data.len() as u64);
            if seen > DISCARD_LIMIT {
                return;
            }
        }
    };
    // However this ends, the refusal is sent next.
    drop(tokio::time::timeout(DISCARD_TIME, discarding).await);
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!(
            "the body is larger than {limit} bytes; keep large data out of the job, or raise \
             `bodyLimit` in the server's configuration"
        ),
    )
    .with("limit_bytes", limit)
}

fn json_object(bytes: &[u8]) -> Result<Value, ApiError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    check_utf8(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| {
        ApiError::malformed(
            "malformed_json",
            format!("the body is not valid JSON: {error}"),
        )
        .with("line", error.line())
        .with("column", error.column())
    })
}

fn text(bytes: Vec<u8>) -> Result<String, ApiError> {
    check_utf8(&bytes)?;
    String::from_utf8(bytes)
        .map_err(|error| ApiError::malformed("not_utf8", format!("the body is not UTF-8: {error}")))
}

fn check_utf8(bytes: &[u8]) -> Result<(), ApiError> {
    let Err(error) = std::str::from_utf8(bytes) else {
        return Ok(());
    };
    let guess = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => " (it looks like UTF-16)",
        _ => "",
    };
    let at = error.valid_up_to();
    Err(ApiError::malformed(
        "not_utf8",
        format!("the body is not UTF-8 from byte {at} on{guess}: save and send it as UTF-8"),
    ))
}

/// Says what a JSON value is where an object was expected.
pub(crate) fn no_object(value: &Value) -> ApiError {
    ApiError::malformed(
        "malformed_json",
        format!("the body should be a JSON object, not {}", kind(value)),
    )
}
