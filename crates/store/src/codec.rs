//! How a row becomes bytes: one byte that counts the editions of the encoding,
//! then MessagePack with named fields. A field added later needs a serde
//! default and no new edition; any other change needs one, and a reader of the
//! old one beside it. Never touches a table.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StorageError;

/// The edition that is written.
pub(crate) const EDITION: u8 = 1;

/// What stands before a job's fields: the edition and the job's revision, so
/// that admitting a run need not decode the job.
const JOB_HEAD: usize = 1 + size_of::<u64>();

/// Encodes a row.
pub(crate) fn encode(what: &'static str, row: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::with_capacity(512);
    bytes.push(EDITION);
    append(what, row, &mut bytes)?;
    Ok(bytes)
}

/// Decodes a row.
pub(crate) fn decode<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, StorageError> {
    read(what, after_edition(what, bytes)?)
}

/// Encodes a job with its revision in front.
pub(crate) fn encode_job(revision: u64, row: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::with_capacity(1024);
    bytes.push(EDITION);
    bytes.extend_from_slice(&revision.to_be_bytes());
    append("job", row, &mut bytes)?;
    Ok(bytes)
}

/// Decodes a job without its revision.
pub(crate) fn decode_job<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    after_edition("job", bytes)?;
    read("job", bytes.get(JOB_HEAD..).unwrap_or_default())
}

/// A job's revision, without decoding the job.
pub(crate) fn job_revision(bytes: &[u8]) -> Result<u64, StorageError> {
    let (revision, _) = after_edition("job", bytes)?
        .split_first_chunk()
        .ok_or_else(|| corrupt("job", "it ends before its revision"))?;
    Ok(u64::from_be_bytes(*revision))
}

/// A row that can't be read.
pub(crate) fn corrupt(what: &'static str, reason: impl Into<String>) -> StorageError {
    StorageError::Corrupt {
        what,
        reason: reason.into(),
    }
}

/// What follows the edition, if that is one known here.
pub(crate) fn after_edition<'a>(
    what: &'static str,
    bytes: &'a [u8],
) -> Result<&'a [u8], StorageError> {
    match bytes.split_first() {
        Some((&EDITION, rest)) => Ok(rest),
        Some((edition, _)) => Err(corrupt(
            what,
            format!("it has edition {edition}; this version of Jobcell reads up to {EDITION}"),
        )),
        None => Err(corrupt(what, "it is empty")),
    }
}

fn append(
    what: &'static str,
    row: &impl Serialize,
    bytes: &mut Vec<u8>,
) -> Result<(), StorageError> {
    rmp_serde::encode::write_named(bytes, row).map_err(|error| corrupt(what, error.to_string()))
}

fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, StorageError> {
    rmp_serde::from_slice(bytes).map_err(|error| corrupt(what, error.to_string()))
}
