//! Reading what was kept of a run that has ended, from any place, as it would
//! have been read while it went on. Never reads the store.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_model::{Execution, OutputChunk, RunOutput, StepResult};
use jobcell_plugin_host::output::{Place, Seen};

/// The most bytes that are given at a time, as of a run that goes on.
const GLANCE: usize = 16 << 10;

/// A run that has ended, and how far its output was looked at.
pub(crate) struct Kept {
    pub(crate) execution: Execution,
    pub(crate) output: Option<RunOutput>,
    /// Its steps in the order in which they ended, by their numbers.
    steps: Vec<usize>,
    chunk: usize,
    /// How much was written before that chunk, without what was dropped.
    from: u64,
}

impl Kept {
    pub(crate) fn new(execution: Execution, output: Option<RunOutput>) -> Self {
        let mut steps: Vec<usize> = (0..execution.step_results.len()).collect();
        steps.sort_by_key(|&step| end(&execution.step_results[step]));
        Self {
            execution,
            output,
            steps,
            chunk: 0,
            from: 0,
        }
    }

    /// What comes after a place; none when that is all.
    pub(crate) fn next(&mut self, place: &mut Place) -> Option<Seen> {
        while let Some(chunk) = self.current() {
            let start = self.from + chunk.dropped_before;
            let end = start + chunk.bytes.len() as u64;
            if place.bytes < start {
                let missed = start - place.bytes;
                place.bytes = start;
                return Some(Seen::Gap(missed));
            }
            if place.bytes < end {
                let part = part(chunk, place.bytes - start);
                place.bytes += part.bytes.len() as u64;
                return Some(Seen::Output(part));
            }
            self.chunk += 1;
            self.from = end;
        }
        let step = *self.steps.get(place.steps)?;
        place.steps += 1;
        let step = self.execution.step_results.get(step)?;
        Some(Seen::Step(Arc::new(step.clone())))
    }

    fn current(&self) -> Option<&OutputChunk> {
        self.output.as_ref()?.chunks.get(self.chunk)
    }
}

fn part(chunk: &OutputChunk, skipped: u64) -> OutputChunk {
    let length = chunk.bytes.len();
    let start = usize::try_from(skipped).map_or(length, |skipped| skipped.min(length));
    OutputChunk {
        stream: chunk.stream,
        at_ms: chunk.at_ms,
        dropped_before: 0,
        bytes: chunk.bytes[start..length.min(start + GLANCE)].to_vec(),
    }
}

fn end(step: &StepResult) -> DateTime<Utc> {
    let took = Duration::try_from_secs_f64(step.duration_seconds).unwrap_or_default();
    let took = TimeDelta::from_std(took).unwrap_or_default();
    step.start_time
        .checked_add_signed(took)
        .unwrap_or(step.start_time)
}
