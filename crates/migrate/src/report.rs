//! What a migration is asked for, and what it answers. Never decides anything.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use jobcell_model::{JobId, JobTypeSchema, Problem};

use crate::identity::Taken;
use crate::reason::Reason;
use crate::weekday::{WeekdayDifference, Weekdays};

/// What a migration is asked for.
#[derive(Debug)]
pub struct Options<'a> {
    /// The installed job types, by which every job is checked.
    pub types: &'a [JobTypeSchema],
    /// Which weekday a 0 in V1's cron expressions is.
    pub weekdays: Weekdays,
    /// The zone of V1's naive dates of creation, change and runs.
    pub assume_timezone: Tz,
    /// The instant of the migration.
    pub now: DateTime<Utc>,
    /// Whether a job whose script is whole, but of which something else is
    /// broken, is migrated disabled.
    pub keep_broken: bool,
    /// What V2 has already.
    pub taken: Taken,
    /// What V1's connections are called in V2, by their V1 names in lower case;
    /// none where nothing is known of them.
    pub connections: Option<BTreeMap<String, String>>,
}

/// What became of the rows, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// One for each row.
    pub outcomes: Vec<Outcome>,
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is a job of V2.
    Migrated(Box<Converted>),
    /// It is none.
    Broken(Broken),
}

/// A row that is not migrated.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// Its `job_id`, as V1 has it.
    pub job_id: Option<String>,
    /// Its name, as V1 has it.
    pub name: Option<String>,
    /// Why: at least one reason.
    pub reasons: Vec<Reason>,
    /// Whether [`Options::keep_broken`] would migrate it disabled.
    pub keepable: bool,
    /// The whole row.
    pub raw: Value,
}

/// A row as a job of V2.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// The server's id: V1's own, where that is a UUID.
    pub job_id: JobId,
    /// What V1 had for it.
    pub original_job_id: Option<String>,
    /// The job's own `id`.
    pub key: String,
    /// Its name.
    pub name: String,
    /// What it is for; empty when nobody said.
    pub description: String,
    /// Its type, spelled as V2 does.
    pub job_type: &'static str,
    /// Whether it may run.
    pub enabled: bool,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub modified: DateTime<Utc>,
    /// Who created it.
    pub created_by: String,
    /// The zone of its schedule; `UTC` without one.
    pub timezone: Tz,
    /// The job.
    pub yaml: String,
    /// What was decided; it stands in the YAML as comments too.
    pub notes: Vec<Note>,
    /// What V2's reader finds doubtful.
    pub warnings: Vec<Problem>,
    /// Why it was kept disabled: empty for a whole job.
    pub broken: Vec<Reason>,
    /// How the readings of its weekdays differ, if they do.
    pub weekday_difference: Option<WeekdayDifference>,
    /// The whole row.
    pub raw: Value,
}

/// A decision that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The key of the job that it is about; empty for the whole job.
    pub key: &'static str,
    /// What was decided and why, on one line.
    pub text: String,
}

impl Note {
    pub(crate) fn new(key: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { key, text }
    }
}

impl Report {
    /// The jobs of V2.
    pub fn migrated(&self) -> impl Iterator<Item = &Converted> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Migrated(converted) => Some(converted.as_ref()),
            Outcome::Broken(_) => None,
        })
    }

    /// The rows that are none.
    pub fn broken(&self) -> impl Iterator<Item = &Broken> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Migrated(_) => None,
            Outcome::Broken(broken) => Some(broken),
        })
    }
}
