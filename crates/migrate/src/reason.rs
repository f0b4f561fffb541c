//! Why a row can't be migrated as it is. Never decides what becomes of it.

/// Why a row can't be migrated as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// There is no configuration at all.
    #[error("the configuration is empty: V1 kept no script for this job")]
    NoConfiguration,
    /// The configuration is no JSON.
    #[error("the configuration is no JSON: {error}")]
    NotJson {
        /// What the reader says.
        error: String,
    },
    /// The configuration is JSON of the wrong kind.
    #[error("the configuration is {found}, not an object of keys and values")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// The job has no type.
    #[error("the row names no job type")]
    NoType,
    /// The type is none that V1 had.
    #[error("the job type `{found}` is not known; V1 had `sql` and `powershell`")]
    UnknownType {
        /// What the row has.
        found: String,
    },
    /// A PowerShell job without a script.
    #[error(
        "there is no script: `script_content`, `script` and `script_path` are missing or blank"
    )]
    NoScript,
    /// An SQL job without a query.
    #[error("there is no query: `sql_query` and `query` are missing or blank")]
    NoQuery,
    /// The script's text is no text.
    #[error("`{key}` is {found}, not text")]
    NotText {
        /// Its key.
        key: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The path of the script counts from a folder that V2 can't know.
    #[error(
        "the script path `{path}` is relative: V2 needs an absolute one, and which folder is meant can't be known"
    )]
    RelativePath {
        /// The path.
        path: String,
    },
    /// The same for the folder to work in.
    #[error("the working directory `{path}` is relative: V2 needs an absolute one")]
    RelativeFolder {
        /// The path.
        path: String,
    },
    /// No such execution policy.
    #[error("the execution policy `{policy}` is none that PowerShell has")]
    UnknownPolicy {
        /// What the configuration has.
        policy: String,
    },
    /// The job has a connection of its own, and names none.
    #[error(
        "the job names no connection but has a connection string, which V2 keeps out of jobs: set up a connection for it"
    )]
    OwnConnection,
    /// A number that can't be used.
    #[error("`{key}` is `{found}`, but must be {expected}")]
    BadNumber {
        /// Its key.
        key: &'static str,
        /// What the configuration has.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Parameters that can't be read as names and values.
    #[error("the parameters can't be read as names and values: {why}")]
    BadParameters {
        /// Why.
        why: String,
    },
    /// A schedule of an unknown kind.
    #[error("the schedule's type `{found}` is not known")]
    UnknownSchedule {
        /// What the schedule has.
        found: String,
    },
    /// A schedule that does not say when.
    #[error("the schedule does not say when the job is to run: `{key}` is missing")]
    IncompleteSchedule {
        /// What is missing.
        key: &'static str,
    },
    /// A schedule that is no object.
    #[error("the schedule is {found}, not an object of keys and values")]
    NoSchedule {
        /// What it is.
        found: &'static str,
    },
    /// No such time zone. It never silently becomes UTC, as it did in V1.
    #[error("the time zone `{zone}` is not known")]
    UnknownZone {
        /// What the row has.
        zone: String,
    },
    /// A cron expression that can't be used.
    #[error("the cron expression can't be used: {error}")]
    BadCron {
        /// What the reader says.
        error: String,
    },
    /// An interval that can't be read.
    #[error("the interval `{found}` can't be read: {why}")]
    BadInterval {
        /// What the schedule has.
        found: String,
        /// Why.
        why: &'static str,
    },
    /// An interval of nothing, which V1 took for every second.
    #[error("the interval is zero: V1 would have run the job every second")]
    ZeroInterval,
    /// A date that can't be read.
    #[error("`{found}` is no date with a time")]
    BadDate {
        /// What the schedule has.
        found: String,
    },
    /// The schedule ends before it begins.
    #[error("the schedule ends before it begins")]
    EndBeforeStart,
    /// V2 refuses the job that comes out.
    #[error("V2 refuses what would come out: {problem}")]
    Refused {
        /// What it says.
        problem: String,
    },
    /// The job that comes out does not say what was meant.
    #[error("`{key}` would not survive the way through YAML")]
    Changed {
        /// The first key that differs.
        key: String,
    },
}

impl Reason {
    /// Whether the script is whole all the same, so that the job can be kept
    /// disabled without the part that is wrong.
    #[must_use]
    pub const fn leaves_the_script(&self) -> bool {
        match self {
            Self::NoConfiguration
            | Self::NotJson { .. }
            | Self::NotAnObject { .. }
            | Self::NoType
            | Self::UnknownType { .. }
            | Self::NoScript
            | Self::NoQuery
            | Self::NotText { .. }
            | Self::RelativePath { .. }
            | Self::Refused { .. }
            | Self::Changed { .. } => false,
            Self::RelativeFolder { .. }
            | Self::UnknownPolicy { .. }
            | Self::OwnConnection
            | Self::BadNumber { .. }
            | Self::BadParameters { .. }
            | Self::UnknownSchedule { .. }
            | Self::IncompleteSchedule { .. }
            | Self::NoSchedule { .. }
            | Self::UnknownZone { .. }
            | Self::BadCron { .. }
            | Self::BadInterval { .. }
            | Self::ZeroInterval
            | Self::BadDate { .. }
            | Self::EndBeforeStart => true,
        }
    }
}

/// The word for a JSON value's kind.
pub(crate) const fn kind_of(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "nothing",
        serde_json::Value::Bool(_) => "true or false",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "text",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "an object",
    }
}
