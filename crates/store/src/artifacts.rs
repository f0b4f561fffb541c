//! Files that runs left, as rows: for each a head, then its pieces, packed as
//! output is. Never decides what is kept.

use std::sync::Arc;

use jobcell_model::{Artifact, ArtifactInfo, ExecutionId};
use serde::{Deserialize, Serialize};

use crate::codec::{self, corrupt};
use crate::error::StorageError;
use crate::failure::Failure;
use crate::output::{PIECE, pack, unpack};
use crate::tables::{Snapshot, WriteTables, run_piece};

const WHAT: &str = "run's artifact";

/// A file's head. Never renames or reuses a field name: see `codec`.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "t")]
    media_type: String,
    #[serde(rename = "c")]
    complete: bool,
    #[serde(rename = "s")]
    size: u64,
    /// How many rows with pieces follow.
    #[serde(rename = "p")]
    pieces: u32,
}

/// Files ready to be written.
#[derive(Debug, Default)]
pub(crate) struct EncodedArtifacts(Vec<Vec<u8>>);

impl EncodedArtifacts {
    /// Encodes them before they are given to the writer.
    pub(crate) async fn new(artifacts: Arc<Vec<Artifact>>) -> Result<Self, StorageError> {
        if artifacts.is_empty() {
            return Ok(Self::default());
        }
        tokio::task::spawn_blocking(move || encode(&artifacts))
            .await
            .map_err(|error| corrupt(WHAT, error.to_string()))?
    }

    /// Writes them.
    pub(crate) fn store(
        &self,
        run: ExecutionId,
        tables: &mut WriteTables<'_>,
    ) -> Result<(), redb::StorageError> {
        for (number, row) in (0..).zip(&self.0) {
            let key = run_piece(run, number);
            tables.artifacts()?.insert(&key, row.as_slice())?;
        }
        Ok(())
    }
}

fn encode(artifacts: &[Artifact]) -> Result<EncodedArtifacts, StorageError> {
    let mut rows = Vec::new();
    for artifact in artifacts {
        let pieces = artifact.bytes.chunks(PIECE);
        let head = Head {
            name: artifact.name.clone(),
            media_type: artifact.media_type.clone(),
            complete: artifact.complete,
            size: artifact.bytes.len() as u64,
            pieces: u32::try_from(pieces.len())
                .map_err(|_| corrupt(WHAT, "it has too many pieces"))?,
        };
        rows.push(codec::encode(WHAT, &head)?);
        for piece in pieces {
            rows.push(pack(piece)?);
        }
    }
    Ok(EncodedArtifacts(rows))
}

/// What a run left, in the order in which it began.
pub(crate) fn list(snapshot: &Snapshot, run: ExecutionId) -> Result<Vec<ArtifactInfo>, Failure> {
    let table = snapshot.artifacts()?;
    let (mut number, mut found) = (0, Vec::new());
    while let Some(row) = table.get(&run_piece(run, number))? {
        let head: Head = codec::decode(WHAT, row.value())?;
        number += 1 + head.pieces;
        found.push(ArtifactInfo {
            name: head.name,
            media_type: head.media_type,
            complete: head.complete,
            size: head.size,
        });
    }
    Ok(found)
}

/// The file of this name.
pub(crate) fn find(
    snapshot: &Snapshot,
    run: ExecutionId,
    name: &str,
) -> Result<Option<Artifact>, Failure> {
    let table = snapshot.artifacts()?;
    let mut number = 0;
    while let Some(row) = table.get(&run_piece(run, number))? {
        let head: Head = codec::decode(WHAT, row.value())?;
        if head.name != name {
            number += 1 + head.pieces;
            continue;
        }
        let mut bytes = Vec::new();
        for piece in number + 1..=number + head.pieces {
            let Some(row) = table.get(&run_piece(run, piece))? else {
                return Err(corrupt(WHAT, format!("piece {piece} is missing")).into());
            };
            unpack(row.value(), &mut bytes)?;
        }
        return Ok(Some(Artifact {
            name: head.name,
            media_type: head.media_type,
            complete: head.complete,
            bytes,
        }));
    }
    Ok(None)
}
