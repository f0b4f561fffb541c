//! What V1 says of a job besides what it does: its name, its dates, who made
//! it. Takes the row's columns, else what a dump of the job repeats. Never
//! assumes a zone by itself.

use chrono::{DateTime, Utc};

use crate::configuration::Configuration;
use crate::date;
use crate::job::V1Job;
use crate::report::{Note, Options};
use crate::row::{shown, text_of};

/// Who created a job that does not say it, as V2's own jobs have it.
const NOBODY: &str = "system";

/// What V1 says of a job.
pub(crate) struct Origin {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) created_by: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) modified: DateTime<Utc>,
    /// Whether V1 says when it was created.
    pub(crate) known: bool,
    pub(crate) notes: Vec<Note>,
}

impl Origin {
    pub(crate) fn of(job: &V1Job, configuration: &Configuration, options: &Options<'_>) -> Self {
        let text = |column: &Option<String>, key| {
            let dumped = || {
                configuration
                    .get(&[key])
                    .and_then(|(_, value)| text_of(value))
            };
            column.clone().or_else(dumped)
        };
        let mut notes = Vec::new();
        let mut date = |column, key| {
            let text = text(column, key)?;
            let found = date::read(&text).and_then(|date| date.within(options.assume_timezone));
            if found.is_none() {
                let note = format!("V1's {key} `{}` can't be read", shown(&text, 60));
                notes.push(Note::new("metadata", note));
            }
            found.map(|(at, _)| at)
        };
        let created = date(&job.created_date, "created_date");
        let modified = date(&job.modified_date, "modified_date");
        let assumed = created.or(modified).unwrap_or(options.now);
        notes.extend(created.is_none().then(|| no_date(modified)));
        let description = text(&job.description, "description");
        let description = description.map(|text| text.replace('\0', ""));
        Self {
            name: text(&job.name, "name"),
            description: description.filter(|text| !text.trim().is_empty()),
            created_by: text(&job.created_by, "created_by").unwrap_or_else(|| NOBODY.to_owned()),
            created: assumed,
            modified: modified.unwrap_or(assumed),
            known: created.is_some(),
            notes,
        }
    }
}

fn no_date(modified: Option<DateTime<Utc>>) -> Note {
    let instead = match modified {
        Some(_) => "that of its last change",
        None => "that of the migration",
    };
    let note = format!("V1 has no date of creation; {instead} is taken");
    Note::new("metadata", note)
}
