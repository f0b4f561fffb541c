//! A job as understood: the keys that all job types share. Never reads YAML.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::schedule::Schedule;

/// How a job is to run.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// The job's own id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its type, spelled as its plugin does.
    pub job_type: String,
    /// Whether it may run.
    pub enabled: bool,
    /// How long a run may take.
    pub timeout: Duration,
    /// When it fires by itself.
    pub schedule: Option<Schedule>,
    /// Whether a failed run is tried again.
    pub retry_policy: Option<RetryPolicy>,
    /// What its script is given, in order.
    pub parameters: Vec<Parameter>,
    /// Whatever its owner notes.
    pub metadata: Map<String, Value>,
    /// How many runs of it may go on at once.
    pub concurrency: Concurrency,
    /// What becomes of firings that were missed.
    pub catch_up: CatchUp,
    /// What a run of it may use.
    pub limits: JobLimits,
    /// Variables for its processes.
    pub environment: BTreeMap<String, String>,
    /// Whom to tell.
    pub notifications: Option<Value>,
    /// What becomes of a run that a crash of the server ended.
    pub on_interrupted: OnInterrupted,
}

impl JobSpec {
    /// The zone of its schedule; `UTC` without one.
    #[must_use]
    pub fn timezone(&self) -> &'static str {
        self.schedule
            .as_ref()
            .map_or("UTC", |schedule| schedule.timezone.name())
    }

    /// How often a failed run is tried again.
    #[must_use]
    pub fn max_retries(&self) -> u32 {
        self.retry_policy
            .as_ref()
            .map_or(0, |policy| policy.max_retries)
    }
}

/// One parameter of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value, with the type that the job gives it.
    pub value: Value,
}

/// Whether and how a failed run is tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// How often.
    pub max_retries: u32,
    /// After how long.
    pub retry_delay: Duration,
    /// How the delay grows.
    pub backoff: Backoff,
    /// How long a delay may become.
    pub max_delay: Option<Duration>,
    /// Up to how much is added to a delay by chance.
    pub jitter: Duration,
    /// After which ends: states, or error codes.
    pub retry_on: Vec<String>,
}

/// How the delay between tries grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// It does not.
    Fixed,
    /// It doubles.
    Exponential,
}

/// How many runs of a job may go on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// How many.
    pub limit: u32,
    /// What becomes of one more.
    pub policy: ConcurrencyPolicy,
}

/// What becomes of a run that is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConcurrencyPolicy {
    /// It is skipped.
    Skip,
    /// It waits.
    Queue,
    /// It takes the place of the oldest.
    Replace,
    /// It runs: there is no limit.
    Allow,
}

/// What becomes of firings that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// Which are made up for.
    pub policy: CatchUpPolicy,
    /// How old they may be.
    pub window: Duration,
    /// How many at the most.
    pub max: u32,
}

/// Which missed firings are made up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUpPolicy {
    /// None.
    None,
    /// The latest.
    Latest,
    /// All.
    All,
}

/// What a run may use; what is none has the server's own limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobLimits {
    /// Memory of its processes, in bytes.
    pub memory: Option<u64>,
    /// Processor time of its processes.
    pub cpu_time: Option<Duration>,
    /// Processes at a time.
    pub processes: Option<u32>,
    /// Open files of each process.
    pub open_files: Option<u32>,
}

/// What becomes of a run that a crash of the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupted {
    /// Nothing: it ran at most once.
    Fail,
    /// It is run again: it runs at least once.
    Retry,
}
