//! Reading what a run writes while it goes on, by any number of readers, each
//! from a place of its own. What is kept is all there is to read: a reader that
//! falls behind finds a gap. Never holds anything back for one, never takes.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use jobcell_model::{OutputChunk, StepResult};

use super::{Kept, OutputBuffer, Piece};

/// The most bytes that a reader is given at a time: whoever writes waits as long
/// as it takes to copy these.
const GLANCE: u64 = 16 << 10;

/// How far a reader has come: all bytes before, written to any stream and kept
/// or not, and so many steps in the order in which they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes.
    pub bytes: u64,
    /// Steps.
    pub steps: usize,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Output, or a part of the log with its line ends.
    Output(OutputChunk),
    /// So many bytes that are not kept, or not any more.
    Gap(u64),
    /// A step that ended.
    Step(Arc<StepResult>),
}

enum Glance {
    Seen(Seen, Place),
    Nothing,
    Taken,
}

impl OutputBuffer {
    /// Waits for what comes after a place, and moves it there. None once all was
    /// taken, whether it had been read or not. Dropping this loses nothing.
    pub async fn next(&self, place: &mut Place) -> Option<Seen> {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on a change is noticed, also one before it is awaited.
            changed.as_mut().enable();
            let glance = self.lock().glance(*place);
            match glance {
                Glance::Seen(seen, next) => {
                    *place = next;
                    return Some(seen);
                }
                Glance::Taken => return None,
                Glance::Nothing => changed.await,
            }
        }
    }
}

impl Kept {
    fn glance(&mut self, place: Place) -> Glance {
        if self.taken {
            return Glance::Taken;
        }
        let step = self.steps.get(place.steps);
        if let Some(ended) = step.filter(|ended| ended.at <= place.bytes) {
            let steps = place.steps + 1;
            // Gone when the run's report has it: the rest is taken next.
            return ended.step.upgrade().map_or(Glance::Taken, |step| {
                Glance::Seen(Seen::Step(step), Place { steps, ..place })
            });
        }
        // What is written before a step ends comes before it.
        let end = step.map_or(self.written, |ended| ended.at);
        if place.bytes >= end {
            self.awaited = true;
            return Glance::Nothing;
        }
        let seen = self.bytes(place.bytes, end.min(place.bytes + GLANCE));
        let length = match &seen {
            Seen::Output(chunk) => chunk.bytes.len() as u64,
            Seen::Gap(missed) => *missed,
            Seen::Step(_) => 0,
        };
        let bytes = place.bytes + length;
        Glance::Seen(seen, Place { bytes, ..place })
    }

    /// What is kept of the bytes from a place on, up to another.
    fn bytes(&self, from: u64, end: u64) -> Seen {
        let head_end = self.head.last().map_or(0, Piece::end);
        let tail_start = self.written - self.tail_bytes as u64;
        let piece = if from < head_end {
            let after = self.head.partition_point(|piece| piece.from <= from);
            self.head.get(after.saturating_sub(1))
        } else if from < tail_start {
            return Seen::Gap(tail_start - from);
        } else {
            holder(&self.tail, from)
        };
        // Every byte is in the head, in the gap or in the tail.
        piece.map_or(Seen::Gap(end - from), |piece| {
            Seen::Output(piece.part(from, end))
        })
    }
}

fn holder(pieces: &VecDeque<Piece>, place: u64) -> Option<&Piece> {
    let after = pieces.partition_point(|piece| piece.from <= place);
    pieces.get(after.saturating_sub(1))
}

impl Piece {
    fn end(&self) -> u64 {
        self.from + self.chunk.bytes.len() as u64
    }

    /// The bytes of it between two places, of which the first is in it.
    fn part(&self, from: u64, end: u64) -> OutputChunk {
        let within = |place: u64| usize::try_from(place - self.from).unwrap_or(usize::MAX);
        let bytes = &self.chunk.bytes[within(from)..within(end.min(self.end()))];
        OutputChunk {
            stream: self.chunk.stream,
            at_ms: self.chunk.at_ms,
            dropped_before: 0,
            bytes: bytes.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
