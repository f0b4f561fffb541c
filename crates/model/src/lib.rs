//! The words of Jobcell: ids, jobs as written in YAML, runs and their states.
//! Never does I/O, never waits, knows no store, plugin or network.

pub mod connection;
pub mod cron;
pub mod execution;
pub mod id;
pub mod job;
pub mod output;
pub mod plan;
pub mod schedule;
pub mod spec;

mod artifact;
mod configuration;
mod document;
mod durations;
mod fields;
mod foreign;
mod instant;
mod job_schema;
mod job_type;
mod links;
mod notes;
mod outlook;
mod parameters;
mod parts;
mod problem;
mod reader;
mod references;
mod scalar;
mod schedule_schema;
mod schema_error;
mod syntax;
mod tree;
mod values;
mod wording;
mod yaml;

pub use artifact::{Artifact, ArtifactInfo, bad_artifact_name, is_media_type};
pub use connection::{
    ConnectionKind, ConnectionRecord, ConnectionSettings, ConnectionTls, Sealed, SettingProblem,
    check_connection_name,
};
pub use document::JobDocument;
pub use durations::Durations;
pub use execution::{
    Execution, OutputSummary, ProcessFacts, RunState, StepResult, StepStatus, Trigger,
};
pub use foreign::ForeignRun;
pub use id::{ExecutionId, IdError, JobId, JobRef};
pub use job::{JobRecord, JobStatistics, StoredJob};
pub use job_schema::job_schema;
pub use job_type::JobTypeSchema;
pub use output::{OutputChunk, OutputStream, RunOutput};
pub use problem::{Location, Problem, Severity};
pub use reader::{Context, parse_job, parse_job_in};
pub use spec::{
    After, AfterOutcome, Backoff, CatchUp, CatchUpPolicy, Concurrency, ConcurrencyPolicy,
    ExpectFirings, JobLimits, JobSpec, Notifications, OnInterrupted, Parameter, QueueBounds,
    RetryPolicy,
};
pub use wording::{is_plain, shown_up_to};
