//! What a run wrote, as rows: encoded as a whole, cut into pieces, each
//! compressed where that pays. Never decides how much is kept.

use std::borrow::Cow;

use jobcell_model::{ExecutionId, OutputChunk, OutputStream, RunOutput};
use serde::{Deserialize, Serialize};

use crate::codec::{self, EDITION, corrupt};
use crate::error::StorageError;
use crate::failure::Failure;
use crate::tables::{Snapshot, WriteTables, run_piece};

/// The most bytes of a piece before it is compressed.
pub(crate) const PIECE: usize = 256 * 1024;
/// Pieces below this are stored as they are.
const WORTH_COMPRESSING: usize = 1024;
/// Output above this is encoded on a thread that may be busy for a while.
const WORTH_A_THREAD: usize = 256 * 1024;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// What stands before a piece: the edition, how it is stored, its length.
const HEAD: usize = 2 + size_of::<u32>();

/// Output ready to be written; empty for a run that wrote nothing.
#[derive(Debug, Default)]
pub(crate) struct EncodedOutput(Vec<Vec<u8>>);

/// Stored as an array: output has many chunks, and their field names would
/// weigh more than a short line.
#[derive(Serialize, Deserialize)]
struct ChunkRow<'a>(
    OutputStream,
    u64,
    u64,
    #[serde(borrow, with = "serde_bytes")] Cow<'a, [u8]>,
);

impl EncodedOutput {
    /// Encodes output before it is given to the writer.
    pub(crate) async fn new(output: RunOutput) -> Result<Self, StorageError> {
        if output.chunks.is_empty() {
            return Ok(Self::default());
        }
        let bytes: usize = output.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        if bytes <= WORTH_A_THREAD {
            return encode(&output);
        }
        tokio::task::spawn_blocking(move || encode(&output))
            .await
            .map_err(|error| corrupt("run's output", error.to_string()))?
    }

    /// Writes it.
    pub(crate) fn store(
        &self,
        run: ExecutionId,
        tables: &mut WriteTables<'_>,
    ) -> Result<(), redb::StorageError> {
        for (number, piece) in (0..).zip(&self.0) {
            tables
                .output()?
                .insert(&run_piece(run, number), piece.as_slice())?;
        }
        Ok(())
    }
}

/// Reads what a run wrote; none where nothing is stored.
pub(crate) fn load(snapshot: &Snapshot, run: ExecutionId) -> Result<Option<RunOutput>, Failure> {
    let mut encoded = Vec::new();
    let mut pieces = 0;
    let (first, last) = (run_piece(run, 0), run_piece(run, u32::MAX));
    for entry in snapshot.output()?.range::<&[u8; 20]>(&first..=&last)? {
        let (key, piece) = entry?;
        if *key.value() != run_piece(run, pieces) {
            return Err(corrupt("run's output", format!("piece {pieces} is missing")).into());
        }
        unpack(piece.value(), &mut encoded)?;
        pieces += 1;
    }
    if pieces == 0 {
        return Ok(None);
    }
    Ok(Some(decode(&encoded)?))
}

/// Encodes output at once, however much it is.
pub(crate) fn encode(output: &RunOutput) -> Result<EncodedOutput, StorageError> {
    let rows: Vec<ChunkRow<'_>> = output
        .chunks
        .iter()
        .map(|chunk| {
            let bytes = Cow::Borrowed(chunk.bytes.as_slice());
            ChunkRow(chunk.stream, chunk.at_ms, chunk.dropped_before, bytes)
        })
        .collect();
    let encoded =
        rmp_serde::to_vec(&rows).map_err(|error| corrupt("run's output", error.to_string()))?;
    encoded
        .chunks(PIECE)
        .map(pack)
        .collect::<Result<_, _>>()
        .map(EncodedOutput)
}

fn decode(encoded: &[u8]) -> Result<RunOutput, StorageError> {
    let rows: Vec<ChunkRow<'_>> = rmp_serde::from_slice(encoded)
        .map_err(|error| corrupt("run's output", error.to_string()))?;
    let chunks =
        rows.into_iter().map(
            |ChunkRow(stream, at_ms, dropped_before, bytes)| OutputChunk {
                stream,
                at_ms,
                dropped_before,
                bytes: bytes.into_owned(),
            },
        );
    Ok(RunOutput {
        chunks: chunks.collect(),
    })
}

/// A piece as a row.
pub(crate) fn pack(piece: &[u8]) -> Result<Vec<u8>, StorageError> {
    let length = u32::try_from(piece.len()).expect("a piece has at most 256 KiB");
    let compressed = if piece.len() < WORTH_COMPRESSING {
        None
    } else {
        let compressed = zstd::bulk::compress(piece, 1)
            .map_err(|error| corrupt("run's output", error.to_string()))?;
        (compressed.len() < piece.len()).then_some(compressed)
    };
    let (how, body) = compressed
        .as_deref()
        .map_or((PLAIN, piece), |body| (ZSTD, body));
    let mut row = Vec::with_capacity(HEAD + body.len());
    row.extend_from_slice(&[EDITION, how]);
    row.extend_from_slice(&length.to_be_bytes());
    row.extend_from_slice(body);
    Ok(row)
}

/// Adds the piece in a row.
pub(crate) fn unpack(row: &[u8], into: &mut Vec<u8>) -> Result<(), StorageError> {
    let rest = codec::after_edition("run's output", row)?;
    let broken = || corrupt("run's output", "a piece ends too early");
    let (how, rest) = rest.split_first().ok_or_else(broken)?;
    let (length, body) = rest.split_first_chunk().ok_or_else(broken)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > PIECE {
        return Err(corrupt(
            "run's output",
            format!("a piece claims to have {length} bytes"),
        ));
    }
    let before = into.len();
    match *how {
        PLAIN => into.extend_from_slice(body),
        ZSTD => {
            let piece = zstd::bulk::decompress(body, length)
                .map_err(|error| corrupt("run's output", error.to_string()))?;
            into.extend_from_slice(&piece);
        }
        other => {
            return Err(corrupt(
                "run's output",
                format!("compression {other} is unknown"),
            ));
        }
    }
    if into.len() - before == length {
        Ok(())
    } else {
        Err(broken())
    }
}
