//! What a run wrote, as it is kept: pieces in order, with what was dropped.
//! Never decides how much is kept.

use serde::{Deserialize, Serialize};

/// Where a piece of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A line of the run's log, from the plugin or from Jobcell.
    Log,
}

/// A piece of output of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputChunk {
    /// Where it came from.
    pub stream: OutputStream,
    /// Milliseconds since the run started.
    pub at_ms: u64,
    /// Bytes that were dropped just before it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped_before: u64,
    /// The bytes, as they were written.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

impl OutputChunk {
    /// The line that tells a reader that something was dropped before it.
    #[must_use]
    pub fn gap_line(&self) -> Option<String> {
        let dropped = self.dropped_before;
        (dropped > 0).then(|| format!("\n[… {dropped} bytes were dropped here …]\n"))
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The kept output of one run, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutput {
    /// Its pieces.
    pub chunks: Vec<OutputChunk>,
}

impl RunOutput {
    /// The output as text, both streams in the order in which they came, with
    /// a line where something was dropped. Bytes that are not UTF-8 become
    /// U+FFFD. Log lines are left out.
    #[must_use]
    pub fn text(&self) -> String {
        self.text_of(|stream| stream != OutputStream::Log)
    }

    /// The same for the streams that `keep` accepts.
    #[must_use]
    pub fn text_of(&self, keep: impl Fn(OutputStream) -> bool) -> String {
        let mut bytes = Vec::new();
        for chunk in self.chunks.iter().filter(|chunk| keep(chunk.stream)) {
            if let Some(line) = chunk.gap_line() {
                bytes.extend_from_slice(line.as_bytes());
            }
            bytes.extend_from_slice(&chunk.bytes);
        }
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}
