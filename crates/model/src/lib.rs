//! The words of Jobcell: ids, jobs as written in YAML, runs and their states.
//! Never does I/O, never waits, knows no store, plugin or network.

pub mod execution;
pub mod id;
pub mod job;
pub mod output;

pub use execution::{Execution, OutputSummary, RunState, StepResult, StepStatus, Trigger};
pub use id::{ExecutionId, IdError, JobId, JobRef};
pub use output::{OutputChunk, OutputStream, RunOutput};
pub use job::{JobRecord, JobStatistics, StoredJob};
