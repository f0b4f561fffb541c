//! What surrounds every request: its id, the guard, a reply when a handler
//! panics, the headers that every reply carries, one line of log. One piece of
//! middleware, because each costs every request.

use std::any::Any;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::Api;
use crate::error::ApiError;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id of a client that is passed on.
const REQUEST_ID_LENGTH: usize = 128;

/// Handles one request inside the frame.
pub(crate) async fn frame(State(api): State<Api>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let line = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match api.access().check(&request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    let (method, path) = line;
    let status = response.status();
    let elapsed = started.elapsed();
    if status.is_server_error() {
        tracing::error!(%method, path, %status, ?elapsed, request_id = ?id, "request failed");
    } else {
        tracing::debug!(%method, path, %status, ?elapsed, request_id = ?id, "request");
    }
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The client's own id where it is harmless in a log, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_LENGTH).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
    };
    if let Some(given) = headers.get(X_REQUEST_ID).filter(harmless) {
        return given.clone();
    }
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = Uuid::now_v7().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("a UUID is hexadecimal digits and hyphens")
}

/// The reply to a request whose handler panicked.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = text, "a request handler panicked");
    ApiError::internal(
        "internal_error",
        "the server failed while it worked on this request; its log says more: please report it",
    )
    .into_response()
}
