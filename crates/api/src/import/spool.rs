//! Keeps a body in a file without a name while it arrives: however slowly a client
//! sends, nobody else waits for it. Never looks into it.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use jobcell_store::StorageError;
use tokio::io::AsyncWriteExt;

use crate::Api;
use crate::body;
use crate::error::ApiError;

/// What an import leaves free of the disk: runs that go on have to be recorded.
const ROOM: u64 = 512 << 20;
/// How often that is looked at, in bytes.
const LOOKED_AT_EACH: u64 = 16 << 20;

/// The body, from its beginning. What is left of one that can't be kept is read all
/// the same, so that its sender gets to read why.
pub(super) async fn take(api: &Api, headers: &HeaderMap, mut body: Body) -> Result<File, ApiError> {
    let kept = keep(api, headers, &mut body).await;
    if kept.is_err() {
        body::discard(headers, body).await;
    }
    kept
}

async fn keep(api: &Api, headers: &HeaderMap, body: &mut Body) -> Result<File, ApiError> {
    let limit = api.import().limit;
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > limit) {
        return Err(too_large(limit));
    }
    let store = api.engine().store();
    let file = nameless(api.import().folder.as_deref()).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    let (mut length, mut looked_at) = (0, 0);
    loop {
        // Each piece in time: the whole may take as long as it is long.
        let next = tokio::time::timeout(api.body_timeout(), body.frame()).await;
        let Some(frame) = next.map_err(|_| too_slow(api))? else {
            break;
        };
        let frame = frame.map_err(|error| {
            let error = format!("the body can't be read: {error}");
            ApiError::malformed("body_unreadable", error)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len() as u64;
        if length > limit {
            return Err(too_large(limit));
        }
        if length >= looked_at {
            looked_at = length + LOOKED_AT_EACH;
            if store.free_bytes().is_some_and(|free| free < ROOM) {
                return Err(StorageError::Full.into());
            }
        }
        file.write_all(&data).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    let mut file = file.into_std().await;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(file)
}

fn nameless(folder: Option<&Path>) -> std::io::Result<File> {
    match folder {
        Some(folder) => tempfile::tempfile_in(folder),
        None => tempfile::tempfile(),
    }
}

fn failed(error: std::io::Error) -> ApiError {
    tracing::error!(%error, "an import can't be kept while it arrives");
    if error.kind() == std::io::ErrorKind::StorageFull {
        return StorageError::Full.into();
    }
    let error = "the import can't be kept while it arrives; see the server's log";
    ApiError::internal("import_failed", error)
}

fn too_slow(api: &Api) -> ApiError {
    let seconds = api.body_timeout().as_secs();
    let error = format!("nothing of the body arrived for {seconds} s");
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", error)
}

fn too_large(limit: u64) -> ApiError {
    let error = format!(
        "the import is larger than {limit} bytes: take over fewer jobs at a time, or stop the \
         server and migrate into its data folder"
    );
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", error).with("limit_bytes", limit)
}
