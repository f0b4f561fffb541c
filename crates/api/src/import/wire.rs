//! What an import is made of: a JSON object on each line (NDJSON). The first says
//! in which version the others are written, the last that they were all. Never
//! shows a password.

use std::fmt;

use chrono::{DateTime, Utc};
use jobcell_model::{ConnectionSettings, ForeignRun, JobId};
use serde::{Deserialize, Serialize};

/// The media type of an import.
pub const IMPORT_MEDIA_TYPE: &str = "application/x-ndjson";
/// The version of what is written here.
pub const IMPORT_VERSION: u32 = 1;

/// A line of an import. They come in this order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportLine {
    /// Which version the lines are written in: the first one.
    Version(u32),
    /// A connection to a database.
    Connection(Box<ImportConnection>),
    /// A job.
    Job(Box<ImportJob>),
    /// A run of a job that is stored or came before.
    Run(Box<ForeignRun>),
    /// How many of them there were: the last one.
    End(ImportCounts),
}

/// A connection to a database.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportConnection {
    /// What jobs will call it.
    pub name: String,
    /// Where it leads.
    pub settings: ConnectionSettings,
    /// Its password.
    #[serde(default)]
    pub password: Option<String>,
}

impl fmt::Debug for ImportConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        write!(formatter, "ImportConnection({name:?})")
    }
}

/// A job.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportJob {
    /// Its id here.
    pub job_id: JobId,
    /// The job, which says all else of itself.
    pub yaml_configuration: String,
    /// When it was created.
    pub created_date: DateTime<Utc>,
    /// When it was last changed.
    pub modified_date: DateTime<Utc>,
    /// Who created it.
    pub created_by: String,
}

/// How much an import was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportCounts {
    /// Its connections.
    pub connections: u64,
    /// Its jobs.
    pub jobs: u64,
    /// Its runs.
    pub runs: u64,
}
