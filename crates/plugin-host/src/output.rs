//! Keeps the head and the tail of what a run writes, and counts the rest.
//! Writing never waits for a reader and never fails: output can't end a run.

mod look;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use jobcell_model::{OutputChunk, OutputStream, OutputSummary, RunOutput, StepResult};
use tokio::sync::Notify;

use crate::limits::RunLimits;
use crate::scope::RunObserver;

pub use look::{Place, Seen};

/// Writes of one stream within this many milliseconds are kept as one piece.
const MERGE_MS: u64 = 10;
/// The largest piece: small enough to be dropped whole from the tail.
const PIECE: usize = 64 << 10;

/// One piece is kept for at least so many bytes of a bound, so that a flood of
/// tiny writes by turns on two streams costs no more memory than a large one.
const BYTES_A_PIECE: usize = 16;
/// So many pieces are kept under any bound.
const FEWEST_PIECES: usize = 64;

/// A piece, and how much was written before it.
struct Piece {
    from: u64,
    chunk: OutputChunk,
}

/// A step that ended, and how much was written before that. Owned by the run's
/// steps, so that keeping it here costs no second copy.
struct EndedStep {
    at: u64,
    step: Weak<StepResult>,
}

struct Kept {
    head: Vec<Piece>,
    head_left: usize,
    head_pieces: usize,
    tail: VecDeque<Piece>,
    tail_bytes: usize,
    /// Bytes of the tail's first piece that are dropped already.
    tail_skip: usize,
    dropped: u64,
    /// All bytes so far, of all streams, kept or not.
    written: u64,
    steps: Vec<EndedStep>,
    /// Whether a reader waits for more.
    awaited: bool,
    taken: bool,
    summary: OutputSummary,
}

/// The kept output of one run. Shared by all who write to it.
pub struct OutputBuffer {
    start: Instant,
    tail_limit: usize,
    observer: Option<Arc<dyn RunObserver>>,
    kept: Mutex<Kept>,
    changed: Notify,
}

impl OutputBuffer {
    /// An empty buffer for a run that started at `start`.
    #[must_use]
    pub fn new(limits: &RunLimits, start: Instant, observer: Option<Arc<dyn RunObserver>>) -> Self {
        Self {
            start,
            tail_limit: limits.output_tail,
            observer,
            kept: Mutex::new(Kept {
                head: Vec::new(),
                head_left: limits.output_head,
                head_pieces: pieces(limits.output_head),
                tail: VecDeque::new(),
                tail_bytes: 0,
                tail_skip: 0,
                dropped: 0,
                written: 0,
                steps: Vec::new(),
                awaited: false,
                taken: false,
                summary: OutputSummary::default(),
            }),
            changed: Notify::new(),
        }
    }

    /// The same to be shared with readers: its observer is told of it.
    #[must_use]
    pub fn shared(
        limits: &RunLimits,
        start: Instant,
        observer: Option<Arc<dyn RunObserver>>,
    ) -> Arc<Self> {
        let buffer = Arc::new(Self::new(limits, start, observer));
        if let Some(observer) = &buffer.observer {
            observer.starts(&buffer);
        }
        buffer
    }

    /// Adds bytes of a stream. For `Log`, one line without its end.
    pub fn write(&self, stream: OutputStream, bytes: &[u8]) {
        if bytes.is_empty() && stream != OutputStream::Log {
            return;
        }
        if let Some(observer) = &self.observer {
            observer.output(stream, bytes);
        }
        let at_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut kept = self.lock();
        match stream {
            OutputStream::Stdout => kept.summary.stdout_bytes += bytes.len() as u64,
            OutputStream::Stderr => kept.summary.stderr_bytes += bytes.len() as u64,
            OutputStream::Log => {}
        }
        let rest = kept.fill_head(stream, at_ms, bytes);
        kept.push_tail(stream, at_ms, rest, self.tail_limit);
        if stream == OutputStream::Log {
            let rest = kept.fill_head(stream, at_ms, b"\n");
            kept.push_tail(stream, at_ms, rest, self.tail_limit);
        }
        self.wake(kept);
    }

    /// Tells the observer and the readers of a step that ended.
    pub fn step(&self, step: &Arc<StepResult>) {
        if let Some(observer) = &self.observer {
            observer.step(step);
        }
        let mut kept = self.lock();
        let at = kept.written;
        let step = Arc::downgrade(step);
        kept.steps.push(EndedStep { at, step });
        self.wake(kept);
    }

    /// Takes all that was kept. Readers find the rest where it is put.
    #[must_use]
    pub fn take(&self) -> (RunOutput, OutputSummary) {
        let mut kept = self.lock();
        let head = std::mem::take(&mut kept.head);
        let dropped = std::mem::take(&mut kept.dropped);
        let mut tail = std::mem::take(&mut kept.tail);
        let skip = std::mem::take(&mut kept.tail_skip);
        if let Some(Piece { chunk: first, .. }) = tail.front_mut() {
            first.bytes.drain(..skip);
            first.dropped_before = dropped;
        }
        kept.tail_bytes = 0;
        kept.steps = Vec::new();
        kept.taken = true;
        let summary = OutputSummary {
            dropped_bytes: dropped,
            ..kept.summary
        };
        self.wake(kept);
        let chunks = head.into_iter().chain(tail).map(|piece| piece.chunk);
        let chunks = chunks.collect();
        (RunOutput { chunks }, summary)
    }

    /// Wakes the readers that wait; when there are none this costs nothing.
    fn wake(&self, mut kept: MutexGuard<'_, Kept>) {
        let awaited = std::mem::take(&mut kept.awaited);
        drop(kept);
        if awaited {
            self.changed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Adds what fits to the head and gives back the rest.
    fn fill_head<'a>(&mut self, stream: OutputStream, at_ms: u64, bytes: &'a [u8]) -> &'a [u8] {
        let (fits, rest) = bytes.split_at(bytes.len().min(self.head_left));
        if !rest.is_empty() {
            // What comes after a gap must not slip into the head.
            self.head_left = 0;
        }
        if fits.is_empty() {
            return rest;
        }
        let full = self.head.len() == self.head_pieces;
        let from = self.written;
        match self.head.last_mut() {
            Some(Piece { chunk: last, .. }) if merges(last, stream, at_ms, usize::MAX) => {
                last.bytes.extend_from_slice(fits);
            }
            _ if full => {
                self.head_left = 0;
                return bytes;
            }
            _ => self.head.push(piece(from, stream, at_ms, fits)),
        }
        self.written += fits.len() as u64;
        self.head_left = self.head_left.saturating_sub(fits.len());
        rest
    }

    /// Adds to the tail, and drops from its front what no longer fits.
    fn push_tail(&mut self, stream: OutputStream, at_ms: u64, bytes: &[u8], limit: usize) {
        let skipped = bytes.len().saturating_sub(limit);
        if skipped > 0 {
            self.dropped += self.tail_bytes as u64 + skipped as u64;
            self.written += skipped as u64;
            self.tail.clear();
            self.tail_bytes = 0;
            self.tail_skip = 0;
        }
        for part in bytes[skipped..].chunks(PIECE) {
            let from = self.written;
            self.written += part.len() as u64;
            self.tail_bytes += part.len();
            match self.tail.back_mut() {
                Some(Piece { chunk: last, .. })
                    if merges(last, stream, at_ms, PIECE - part.len()) =>
                {
                    last.bytes.extend_from_slice(part);
                }
                _ => self.tail.push_back(piece(from, stream, at_ms, part)),
            }
        }
        self.trim_tail(limit);
    }

    fn trim_tail(&mut self, limit: usize) {
        let most = pieces(limit);
        while let Some(first) = self.tail.front() {
            let left = first.chunk.bytes.len() - self.tail_skip;
            let excess = self.tail_bytes.saturating_sub(limit).min(left);
            if excess < left && self.tail.len() <= most {
                // Skipped, not moved: a piece is large, and a write may be small.
                self.drop_front(excess);
                return;
            }
            self.drop_front(left);
            self.tail_skip = 0;
            self.tail.pop_front();
        }
    }

    fn drop_front(&mut self, bytes: usize) {
        self.tail_skip += bytes;
        self.tail_bytes -= bytes;
        self.dropped += bytes as u64;
    }
}

fn pieces(limit: usize) -> usize {
    (limit / BYTES_A_PIECE).max(FEWEST_PIECES)
}

fn merges(last: &OutputChunk, stream: OutputStream, at_ms: u64, room: usize) -> bool {
    last.stream == stream
        && at_ms.saturating_sub(last.at_ms) <= MERGE_MS
        && last.bytes.len() <= room
}

fn piece(from: u64, stream: OutputStream, at_ms: u64, bytes: &[u8]) -> Piece {
    Piece {
        from,
        chunk: OutputChunk {
            stream,
            at_ms,
            dropped_before: 0,
            bytes: bytes.to_vec(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(head: usize, tail: usize) -> OutputBuffer {
        let limits = RunLimits {
            output_head: head,
            output_tail: tail,
            ..RunLimits::default()
        };
        OutputBuffer::new(&limits, Instant::now(), None)
    }

    #[test]
    fn keeps_head_and_tail_and_counts_what_lay_between() {
        let buffer = buffer(4, 3);
        buffer.write(OutputStream::Stdout, b"abcdef");
        buffer.write(OutputStream::Stderr, b"ghij");
        let (output, summary) = buffer.take();
        let kept: Vec<_> = output
            .chunks
            .iter()
            .map(|chunk| chunk.bytes.as_slice())
            .collect();
        assert_eq!(kept, [b"abcd".as_slice(), b"hij"]);
        assert_eq!(output.chunks[1].dropped_before, 3);
        assert_eq!(
            (
                summary.stdout_bytes,
                summary.stderr_bytes,
                summary.dropped_bytes
            ),
            (6, 4, 3)
        );
    }

    #[test]
    fn nothing_is_dropped_that_fits() {
        let buffer = buffer(4, 4);
        for byte in b"abcdefgh" {
            buffer.write(OutputStream::Stdout, &[*byte]);
        }
        let (output, summary) = buffer.take();
        assert_eq!(output.text(), "abcdefgh");
        assert_eq!(summary.dropped_bytes, 0);
    }

    #[test]
    fn a_flood_keeps_memory_flat() {
        let buffer = buffer(1 << 10, 1 << 10);
        for _ in 0..10_000 {
            buffer.write(OutputStream::Stdout, &[b'x'; 8192]);
        }
        let (output, summary) = buffer.take();
        let kept: usize = output.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        assert_eq!(kept, 2 << 10);
        assert_eq!(summary.dropped_bytes, 10_000 * 8192 - (2 << 10));
    }

    #[test]
    fn streams_keep_their_order() {
        let buffer = buffer(100, 100);
        buffer.write(OutputStream::Stdout, b"1\n");
        buffer.write(OutputStream::Log, b"note");
        buffer.write(OutputStream::Stderr, b"2\n");
        let (output, _) = buffer.take();
        assert_eq!(output.text(), "1\n2\n");
        assert_eq!(
            output.text_of(|stream| stream == OutputStream::Log),
            "note\n"
        );
    }

    #[test]
    fn small_writes_to_a_full_tail_drop_the_oldest_bytes() {
        let buffer = buffer(2, 4);
        for byte in b'a'..=b'z' {
            buffer.write(OutputStream::Stdout, &[byte]);
        }
        let (output, summary) = buffer.take();
        let kept: Vec<u8> = output
            .chunks
            .into_iter()
            .flat_map(|chunk| chunk.bytes)
            .collect();
        assert_eq!(kept, b"abwxyz");
        assert_eq!(summary.dropped_bytes, 20);
    }

    #[test]
    fn a_flood_of_tiny_writes_by_turns_keeps_few_pieces() {
        let buffer = buffer(1 << 10, 1 << 10);
        for _ in 0..10_000 {
            buffer.write(OutputStream::Stdout, b"o");
            buffer.write(OutputStream::Stderr, b"e");
        }
        let (output, summary) = buffer.take();
        let kept: usize = output.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        assert!(
            output.chunks.len() <= 2 * FEWEST_PIECES,
            "{}",
            output.chunks.len()
        );
        assert_eq!(kept as u64 + summary.dropped_bytes, 20_000);
        assert!(output.text().ends_with("oeoe"), "the end is what is kept");
    }
}
