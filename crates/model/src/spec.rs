//! A job as understood: the keys that all job types share. Never reads YAML.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::execution::RunState;
use crate::schedule::Schedule;

/// How a job is to run. As JSON it is a job again: lengths of time are numbers
/// of seconds, sizes numbers of bytes, defaults are written out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSpec {
    /// The job's own id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its type, spelled as its plugin does.
    #[serde(rename = "type")]
    pub job_type: String,
    /// Whether it may run.
    pub enabled: bool,
    /// How long a run may take.
    #[serde(serialize_with = "seconds")]
    pub timeout: Duration,
    /// When it fires by itself.
    #[serde(
        rename = "schedule",
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "one_or_list"
    )]
    pub schedules: Vec<Schedule>,
    /// How often its schedules are to fire in some years, as a check.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "one_or_list")]
    pub expect_firings: Vec<ExpectFirings>,
    /// After which other jobs it is started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<After>,
    /// Among runs that wait, those of a higher one start first: -100 to 100.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Whether a failed run is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// What its script is given, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Whatever its owner notes.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// How many runs of it may go on at once.
    pub concurrency: Concurrency,
    /// What becomes of firings that were missed.
    pub catch_up: CatchUp,
    /// What a run of it may use.
    #[serde(skip_serializing_if = "JobLimits::is_empty")]
    pub limits: JobLimits,
    /// Variables for its processes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Whom to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Notifications>,
    /// What becomes of a run that a crash of the server ended.
    pub on_interrupted: OnInterrupted,
}

impl JobSpec {
    /// The zone of its (first) schedule; `UTC` without one.
    #[must_use]
    pub fn timezone(&self) -> &'static str {
        self.schedules
            .first()
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value, with the type that the job gives it.
    pub value: Value,
}

/// Whether and how a failed run is tried again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// How often.
    pub max_retries: u32,
    /// After how long.
    #[serde(serialize_with = "seconds")]
    pub retry_delay: Duration,
    /// How the delay grows.
    pub backoff: Backoff,
    /// How long a delay may become.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "maybe_seconds"
    )]
    pub max_delay: Option<Duration>,
    /// Up to how much is added to a delay by chance.
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "seconds")]
    pub jitter: Duration,
    /// After which ends: states, or error codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retry_on: Vec<String>,
}

/// How the delay between tries grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// It does not.
    Fixed,
    /// It doubles.
    Exponential,
}

/// How many runs may go on at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Concurrency {
    /// How many.
    pub limit: u32,
    /// What becomes of one more.
    pub policy: ConcurrencyPolicy,
    /// Jobs with the same key share a limit; without one the limit is the job's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The bounds of what waits, by `policy: queue`.
    #[serde(skip_serializing_if = "QueueBounds::is_usual")]
    pub queue: QueueBounds,
}

impl Concurrency {
    /// The key by which a limit is shared; none where there is no limit.
    #[must_use]
    pub fn shared_key(&self) -> Option<&str> {
        let key = self.key.as_deref();
        key.filter(|_| self.policy != ConcurrencyPolicy::Allow)
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            limit: 1,
            policy: ConcurrencyPolicy::Skip,
            key: None,
            queue: QueueBounds::default(),
        }
    }
}

/// How many runs may wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueBounds {
    /// How many; one more is skipped.
    pub max: u32,
    /// For how long; what waits longer is skipped.
    #[serde(serialize_with = "seconds")]
    pub max_age: Duration,
}

impl Default for QueueBounds {
    fn default() -> Self {
        Self {
            max: 100,
            max_age: Duration::from_secs(3600),
        }
    }
}

impl QueueBounds {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// How many firings a job's schedules are to have in one year of the (first)
/// schedule's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExpectFirings {
    /// The year.
    pub year: i32,
    /// How many.
    pub count: u32,
}

/// Another job after whose runs this one is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct After {
    /// The other job's own id.
    pub job: String,
    /// After which of its runs.
    pub on: AfterOutcome,
}

/// How a run must end for another job to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterOutcome {
    /// It succeeded.
    Success,
    /// It ended, and did not succeed.
    Failure,
    /// It ended.
    Always,
}

impl AfterOutcome {
    /// Whether a run that ended so is meant. One that never started has not
    /// ended in this sense.
    #[must_use]
    pub const fn covers(self, ended: RunState) -> bool {
        match ended {
            RunState::Pending | RunState::Running | RunState::Skipped => false,
            RunState::Success => matches!(self, Self::Success | Self::Always),
            RunState::Failed | RunState::Timeout | RunState::Cancelled | RunState::Interrupted => {
                matches!(self, Self::Failure | Self::Always)
            }
        }
    }
}

/// What becomes of a run that is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CatchUp {
    /// Which are made up for.
    pub policy: CatchUpPolicy,
    /// How old they may be.
    #[serde(serialize_with = "seconds")]
    pub window: Duration,
    /// How many at the most.
    pub max: u32,
}

/// Up to so late a firing is on time, whatever `catchUp` says: no clock and no
/// machine is exact.
const ON_TIME: Duration = Duration::from_secs(60);

impl Default for CatchUp {
    fn default() -> Self {
        Self {
            policy: CatchUpPolicy::Latest,
            window: Duration::from_secs(3600),
            max: 100,
        }
    }
}

impl CatchUp {
    /// What holds in fact: a firing that is late by no more than a minute is on
    /// time by any policy.
    #[must_use]
    pub fn in_effect(self) -> Self {
        match self.policy {
            CatchUpPolicy::None => Self {
                policy: CatchUpPolicy::Latest,
                window: ON_TIME,
                ..self
            },
            CatchUpPolicy::Latest | CatchUpPolicy::All => Self {
                window: self.window.max(ON_TIME),
                ..self
            },
        }
    }
}

/// Which missed firings are made up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUpPolicy {
    /// None.
    None,
    /// The latest.
    Latest,
    /// All.
    All,
}

/// What a run may use; what is none has the server's own limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobLimits {
    /// Memory of its processes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processor time of its processes.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "maybe_seconds"
    )]
    pub cpu_time: Option<Duration>,
    /// Processes at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Open files of each process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u32>,
    /// Output that is kept, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
}

impl JobLimits {
    /// Whether the job sets none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whom to tell how a run ended: addresses, or mappings that say more.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notifications {
    /// After a run that succeeded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_success: Vec<Value>,
    /// After one that did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Value>,
}

/// What becomes of a run that a crash of the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnInterrupted {
    /// Nothing: it ran at most once.
    Fail,
    /// It is run again: it runs at least once.
    Retry,
}

/// One entry stands by itself, as most jobs are written.
fn one_or_list<T: Serialize, S: Serializer>(
    entries: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match entries {
        [one] => one.serialize(serializer),
        _ => entries.serialize(serializer),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// A length of time as a number of seconds, whole where it can be.
pub(crate) struct Seconds(pub(crate) Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.subsec_nanos() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.serialize_f64(self.0.as_secs_f64())
        }
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    Seconds(*duration).serialize(serializer)
}

fn maybe_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.map(Seconds).serialize(serializer)
}
