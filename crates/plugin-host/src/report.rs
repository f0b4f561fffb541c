//! What goes into a run and what comes out of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jobcell_model::{Artifact, OutputSummary, RunOutput, StepResult};
use tokio_util::sync::CancellationToken;

use crate::limits::RunLimits;
use crate::scope::{EffectGate, Journal, RunObserver, StopReason};

/// One run to be carried out.
pub struct RunRequest {
    /// The job type's own keys: a JSON object.
    pub configuration: String,
    /// The job's parameters in order, each with its value.
    pub parameters: Vec<(String, serde_json::Value)>,
    /// Facts for `run-context.attributes`.
    pub attributes: Vec<(String, String)>,
    /// Variables that the job gives to its processes.
    pub environment: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Duration,
    /// What else it may use.
    pub limits: RunLimits,
    /// Cancels it.
    pub cancel: CancellationToken,
    /// Holds back its effects until its start is durable.
    pub gate: EffectGate,
    /// Writes down what it starts.
    pub journal: Option<Arc<dyn Journal>>,
    /// Sees it go on.
    pub observer: Option<Arc<dyn RunObserver>>,
}

/// Why a run did not do what it was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// A stable word: `tool_not_found`, `limit_guest_memory`, `trap`.
    pub code: String,
    /// One sentence: what happened and what to do.
    pub message: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// It did what it was for.
    Succeeded {
        /// The exit code, where there was one.
        return_code: Option<i32>,
    },
    /// It did not.
    Failed {
        /// The exit code, where there was one.
        return_code: Option<i32>,
        /// Why.
        failure: RunFailure,
    },
    /// Its time was over.
    TimedOut,
    /// It was cancelled.
    Cancelled,
}

/// What a run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Processor time of its processes, and of the plugin's own computing.
    pub cpu_time: Duration,
    /// The most memory of its processes together, or of the plugin, in bytes.
    pub peak_memory: u64,
    /// The most processes at a time.
    pub processes: u32,
    /// Bytes that its processes were given on standard input.
    pub input_bytes: u64,
    /// Bytes that its processes read from disks.
    pub read_bytes: u64,
    /// Bytes that its processes wrote to disks.
    pub written_bytes: u64,
}

impl Cost {
    /// Both together: times and bytes add up, the larger peak counts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            cpu_time: self.cpu_time + other.cpu_time,
            peak_memory: self.peak_memory.max(other.peak_memory),
            processes: self.processes.max(other.processes),
            input_bytes: self.input_bytes + other.input_bytes,
            read_bytes: self.read_bytes + other.read_bytes,
            written_bytes: self.written_bytes + other.written_bytes,
        }
    }
}

/// All that is known of a run that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// How it ended.
    pub end: RunEnd,
    /// Its parts.
    pub steps: Vec<StepResult>,
    /// What it wrote.
    pub output: RunOutput,
    /// How much that was.
    pub output_summary: OutputSummary,
    /// The files that it left.
    pub artifacts: Vec<Artifact>,
    /// What it used.
    pub cost: Cost,
}

impl RunReport {
    /// A run that was stopped before its plugin began.
    pub(crate) fn stopped_early(reason: StopReason) -> Self {
        Self {
            end: reason.into(),
            steps: Vec::new(),
            output: RunOutput::default(),
            output_summary: OutputSummary::default(),
            artifacts: Vec::new(),
            cost: Cost::default(),
        }
    }
}

impl From<StopReason> for RunEnd {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Cancelled => Self::Cancelled,
            StopReason::TimedOut => Self::TimedOut,
        }
    }
}
