//! What a migration did or would do, for people, programs and a web page alike.
//! Never holds a password.

use chrono::{DateTime, Utc};
use jobcell_migrate::{
    Broken, Converted, Note, Outcome, V1Connection, WeekdayDifference, masked, masked_text,
};
use serde::Serialize;
use serde_json::Value;

use super::runs::Runs;

/// What a migration did or would do.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    /// Where V1 is.
    pub(crate) from: Option<String>,
    /// The data folder, unless it is a server.
    pub(crate) data: Option<String>,
    /// The running server that it goes to.
    pub(crate) server: Option<String>,
    pub(crate) time: DateTime<Utc>,
    /// Which day a 0 was taken for.
    pub(crate) weekdays: &'static str,
    pub(crate) assume_timezone: String,
    pub(crate) counts: Counts,
    /// What became of the history; none where it was not asked for.
    pub(crate) runs: Option<Runs>,
    /// What is not as in a usual V1.
    pub(crate) remarks: Vec<String>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) broken: Vec<BrokenRow>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) connections: Vec<Connection>,
}

/// How many.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counts {
    /// Rows of V1's jobs.
    pub(crate) rows: usize,
    /// Those that `--only` left out.
    pub(crate) left_out: usize,
    pub(crate) added: usize,
    /// Those that were migrated before.
    pub(crate) present: usize,
    pub(crate) broken: usize,
    /// Of the migrated ones, those that are broken and were kept disabled.
    pub(crate) kept_disabled: usize,
    /// Of the migrated ones, those whose weekdays have two readings.
    pub(crate) weekdays_differ: usize,
}

/// Whether something is new in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Added,
    Present,
}

/// A migrated job.
#[derive(Debug, Serialize)]
pub(crate) struct Job {
    pub(crate) job_id: String,
    pub(crate) original_job_id: Option<String>,
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) job_type: &'static str,
    pub(crate) enabled: bool,
    pub(crate) state: State,
    pub(crate) notes: Vec<Remark>,
    /// What is wrong with a job that was kept disabled.
    pub(crate) reasons: Vec<String>,
    pub(crate) weekdays: Option<Weekdays>,
}

/// A decision, or a doubt of V2's reader.
#[derive(Debug, Serialize)]
pub(crate) struct Remark {
    pub(crate) key: String,
    pub(crate) text: String,
}

/// The two readings of a job's weekdays.
#[derive(Debug, Serialize)]
pub(crate) struct Weekdays {
    pub(crate) timezone: String,
    /// With 0 for Sunday.
    pub(crate) sunday: Reading,
    /// With 0 for Monday.
    pub(crate) monday: Reading,
}

/// A reading, and the next instants under it.
#[derive(Debug, Serialize)]
pub(crate) struct Reading {
    pub(crate) expression: String,
    /// In the zone of the schedule, with its offset.
    pub(crate) next: Vec<String>,
}

/// A row that is not migrated.
#[derive(Debug, Serialize)]
pub(crate) struct BrokenRow {
    pub(crate) job_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) reasons: Vec<String>,
    /// Whether `--keep-broken` would migrate it disabled.
    pub(crate) keepable: bool,
    pub(crate) raw: Value,
}

/// A sample job.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: State,
}

/// A connection of V1. Never its password.
#[derive(Debug, Serialize)]
pub(crate) struct Connection {
    pub(crate) connection_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) database: Option<String>,
    pub(crate) username: Option<String>,
    /// Whether the Windows account of the service connects.
    pub(crate) trusted: bool,
    pub(crate) has_password: bool,
    pub(crate) active: bool,
    /// What jobs call it in V2, where it is taken over.
    pub(crate) migrated_as: Option<String>,
    pub(crate) state: Option<State>,
    /// Why it is not.
    pub(crate) left: Option<String>,
}

impl Report {
    /// Whether every row of V1 was migrated that was to be.
    pub(crate) fn is_whole(&self) -> bool {
        let lost = self.runs.as_ref().is_some_and(|runs| runs.unreadable > 0);
        self.broken.is_empty() && !lost
    }

    /// Whether nothing is new in the store.
    pub(crate) fn changes_nothing(&self) -> bool {
        let runs = self.runs.as_ref().is_some_and(|runs| runs.added > 0);
        let samples = self
            .samples
            .iter()
            .any(|sample| sample.state == State::Added);
        let mut connections = self.connections.iter();
        let connections = connections.any(|one| one.state == Some(State::Added));
        self.counts.added == 0 && !runs && !samples && !connections
    }

    /// Takes up what became of the rows.
    pub(crate) fn take(&mut self, outcomes: &[Outcome], is_present: impl Fn(&Converted) -> bool) {
        for outcome in outcomes {
            match outcome {
                Outcome::Migrated(job) => {
                    let state = match is_present(job) {
                        true => State::Present,
                        false => State::Added,
                    };
                    self.jobs.push(Job::of(job, state));
                }
                Outcome::Broken(broken) => self.broken.push(BrokenRow::of(broken)),
            }
        }
        let count = |state| self.jobs.iter().filter(|job| job.state == state).count();
        let kept = self.jobs.iter().filter(|job| !job.reasons.is_empty());
        let differ = self.jobs.iter().filter(|job| job.weekdays.is_some());
        self.counts.added = count(State::Added);
        self.counts.present = count(State::Present);
        self.counts.broken = self.broken.len();
        self.counts.kept_disabled = kept.count();
        self.counts.weekdays_differ = differ.count();
    }
}

impl Job {
    fn of(job: &Converted, state: State) -> Self {
        let notes = job.notes.iter().map(Remark::of);
        let warnings = job.warnings.iter().map(|warning| Remark {
            key: warning.pointer.trim_start_matches('/').replace('/', "."),
            text: masked_text(&warning.message),
        });
        let reasons = job.broken.iter();
        Self {
            job_id: job.job_id.to_string(),
            original_job_id: job.original_job_id.clone(),
            id: job.key.clone(),
            name: job.name.clone(),
            job_type: job.job_type,
            enabled: job.enabled,
            state,
            notes: notes.chain(warnings).collect(),
            reasons: reasons
                .map(|reason| masked_text(&reason.to_string()))
                .collect(),
            weekdays: job.weekday_difference.as_ref().map(Weekdays::of),
        }
    }
}

impl Remark {
    fn of(note: &Note) -> Self {
        Self {
            key: note.key.to_owned(),
            text: masked_text(&note.text),
        }
    }
}

impl Weekdays {
    pub(crate) fn of(difference: &WeekdayDifference) -> Self {
        let zone = difference.timezone;
        let shown = |instants: &[DateTime<Utc>]| {
            let local = instants.iter().map(|at| at.with_timezone(&zone));
            local
                .map(|at| at.format("%a %Y-%m-%d %H:%M:%S%:z").to_string())
                .collect()
        };
        Self {
            timezone: zone.name().to_owned(),
            sunday: Reading {
                expression: difference.sunday_expression.clone(),
                next: shown(&difference.under_sunday),
            },
            monday: Reading {
                expression: difference.monday_expression.clone(),
                next: shown(&difference.under_monday),
            },
        }
    }
}

impl BrokenRow {
    fn of(broken: &Broken) -> Self {
        let reasons = broken.reasons.iter();
        Self {
            job_id: broken.job_id.clone(),
            name: broken.name.clone(),
            reasons: reasons
                .map(|reason| masked_text(&reason.to_string()))
                .collect(),
            keepable: broken.keepable,
            raw: masked(&broken.raw),
        }
    }
}

impl From<&V1Connection> for Connection {
    fn from(connection: &V1Connection) -> Self {
        let converted = connection.convert();
        let (migrated_as, left) = match converted {
            Ok(converted) => (Some(converted.name), None),
            Err(reason) => (None, Some(reason.to_string())),
        };
        let connection = connection.clone();
        let trusted = connection.is_trusted();
        Self {
            connection_id: connection.connection_id,
            name: connection.name,
            server: connection.server.as_deref().map(masked_text),
            port: connection.port,
            database: connection.database.as_deref().map(masked_text),
            username: connection.username,
            trusted,
            has_password: connection.password.is_some(),
            active: connection.active,
            migrated_as,
            state: None,
            left,
        }
    }
}
