//! Rows of V1 as jobs of V2, one after the other. Never loses a row: each is
//! migrated or reported.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value};

use jobcell_model::Parameter;

use crate::body::{self, Body, Kind};
use crate::check::check;
use crate::conduct::{self, Conduct};
use crate::configuration::{Configuration, DROPPED};
use crate::draft::{Draft, fitting};
use crate::identity::{Claims, Identity};
use crate::job::V1Job;
use crate::reason::Reason;
use crate::report::{Broken, Converted, Note, Options, Outcome, Report};
use crate::row::{shown, text_of};
use crate::schedule::{self, Planned};
use crate::source::{Source, Written, find_source};
use crate::{date, parameters, yaml};

/// Who created a job that does not say it, as V2's own jobs have it.
const NOBODY: &str = "system";

/// Converts rows, in their order. Those that are migrated have ids and names of
/// their own.
#[must_use]
pub fn convert_all(rows: Vec<V1Job>, options: &Options<'_>) -> Report {
    let mut claims = Claims::new(&options.taken);
    let outcomes = rows
        .into_iter()
        .map(|job| convert(job, options, &mut claims));
    Report {
        outcomes: outcomes.collect(),
    }
}

fn convert(job: V1Job, options: &Options<'_>, claims: &mut Claims) -> Outcome {
    let read = Read::new(&job, options);
    let migrated = read.and_then(|read| {
        let keepable = read.reasons.iter().all(Reason::leaves_the_script);
        if read.reasons.is_empty() || keepable && options.keep_broken {
            finish(read, &job, options, claims).map_err(|reason| vec![reason])
        } else {
            Err(read.reasons)
        }
    });
    match migrated {
        Ok(converted) => Outcome::Migrated(Box::new(converted)),
        Err(reasons) => Outcome::Broken(Broken {
            job_id: job.job_id,
            name: job.name,
            keepable: reasons.iter().all(Reason::leaves_the_script),
            reasons,
            raw: job.raw,
        }),
    }
}

/// A row, read as far as it can be.
struct Read {
    kind: Kind,
    configuration: Configuration,
    body: Body,
    conduct: Conduct,
    parameters: Vec<Parameter>,
    planned: Option<Planned>,
    notes: Vec<Note>,
    /// Why it can't be migrated as it is.
    reasons: Vec<Reason>,
    /// What could not be read, as V1 had it.
    unread: Map<String, Value>,
}

impl Read {
    fn new(job: &V1Job, options: &Options<'_>) -> Result<Self, Vec<Reason>> {
        let kind = kind(job).map_err(|reason| {
            // A second reason helps whoever looks at the row.
            let configuration = Configuration::read(job.configuration.as_deref(), None);
            std::iter::once(reason)
                .chain(configuration.err())
                .collect::<Vec<_>>()
        })?;
        let configuration = Configuration::read(job.configuration.as_deref(), Some(kind.section()));
        let configuration = configuration.map_err(|reason| vec![reason])?;
        let mut read = Self {
            kind,
            body: body::read(kind, &configuration),
            conduct: conduct::read(&configuration),
            configuration,
            parameters: Vec::new(),
            planned: None,
            notes: Vec::new(),
            reasons: Vec::new(),
            unread: Map::new(),
        };
        read.take_over_problems();
        read.parameters();
        read.schedule(job, options);
        read.left_behind();
        Ok(read)
    }

    fn note(&mut self, key: &'static str, text: impl Into<String>) {
        self.notes.push(Note::new(key, text));
    }

    /// Keeps what can't be read for whoever puts it right.
    fn leave_out(&mut self, key: &'static str) {
        if let Some((_, value)) = self.configuration.get(&[key]) {
            self.unread.insert(key.to_owned(), fitting(value));
        }
    }

    fn take_over_problems(&mut self) {
        self.notes.append(&mut self.body.notes);
        self.notes.append(&mut self.conduct.notes);
        let mut reasons = std::mem::take(&mut self.body.reasons);
        reasons.append(&mut self.conduct.reasons);
        for reason in reasons {
            match &reason {
                Reason::BadNumber { key, .. } => self.leave_out(key),
                Reason::UnknownPolicy { .. } => self.leave_out("execution_policy"),
                Reason::RelativeFolder { .. } => self.leave_out("working_directory"),
                _ => {}
            }
            self.reasons.push(reason);
        }
    }

    fn parameters(&mut self) {
        let Some((_, value)) = self.configuration.get(&["parameters"]) else {
            return;
        };
        match parameters::read(value, self.kind == Kind::PowerShell) {
            Ok((parameters, notes)) => {
                self.parameters = parameters;
                notes
                    .into_iter()
                    .for_each(|note| self.note("parameters", note));
            }
            Err(why) => {
                self.leave_out("parameters");
                self.reasons.push(Reason::BadParameters { why });
            }
        }
    }

    fn schedule(&mut self, job: &V1Job, options: &Options<'_>) {
        match find_source(job, &self.configuration) {
            Ok(Source::None) => {}
            Ok(Source::Off(written, place)) => {
                let note = format!("V1's is switched off in {place}: {}", written.shown());
                self.note("schedule", note);
            }
            Ok(Source::On(written, other)) => self.plan(&written, other.as_ref(), options),
            Err(reason) => {
                self.leave_out("schedule");
                self.reasons.push(reason);
            }
        }
    }

    fn plan(&mut self, written: &Written, other: Option<&Written>, options: &Options<'_>) {
        let planned = match schedule::read(written, options) {
            Ok(planned) => planned,
            Err(reason) => {
                let mut keys = written.keys.clone();
                let zone = written.zone.as_deref().map(Value::from);
                zone.into_iter().for_each(|zone| {
                    keys.entry("timezone").or_insert(zone);
                });
                self.unread
                    .insert("schedule".to_owned(), fitting(&Value::Object(keys)));
                return self.reasons.push(reason);
            }
        };
        self.notes.extend(planned.notes.iter().cloned());
        if let Some(other) = other {
            let same = schedule::read(other, options)
                .is_ok_and(|other| other.schedule == planned.schedule);
            if !same {
                let note = format!(
                    "the columns of V1's row count; its configuration had another: {}",
                    other.shown()
                );
                self.note("schedule", note);
            }
        }
        self.planned = Some(planned);
    }

    /// Tells what V2 has no place for.
    fn left_behind(&mut self) {
        for (key, instead) in DROPPED {
            let Some((_, value)) = self.configuration.get(&[key]) else {
                continue;
            };
            let value = match key {
                // It may hold a password.
                "connection_string" => String::new(),
                _ => format!(": {}", shown(&text_of(value).unwrap_or_default(), 120)),
            };
            self.note("", format!("V1 had `{key}{value}`; {instead}"));
        }
        let unknown = self.configuration.unknown();
        if !unknown.is_empty() {
            let keys = shown(&unknown.join(", "), 400);
            self.note("", format!("not carried over, as V1 never used it: {keys}"));
        }
    }
}

fn kind(job: &V1Job) -> Result<Kind, Reason> {
    let own = job.job_type.clone();
    let text = own.or_else(|| Configuration::type_in(job.configuration.as_deref()));
    let text = text.ok_or(Reason::NoType)?;
    Kind::read(&text).ok_or_else(|| Reason::UnknownType {
        found: shown(&text, 60),
    })
}

fn finish(
    read: Read,
    job: &V1Job,
    options: &Options<'_>,
    claims: &mut Claims,
) -> Result<Converted, Reason> {
    let text = |column: &Option<String>, key| {
        column.clone().or_else(|| {
            read.configuration
                .get(&[key])
                .and_then(|(_, value)| text_of(value))
        })
    };
    let name = text(&job.name, "name");
    let identity = claims.identify(job.job_id.as_deref(), name.as_deref(), &job.raw);
    let mut notes = read.notes.clone();
    notes.extend(identity.notes.iter().cloned());
    let past = read.planned.as_ref().is_some_and(|planned| planned.past);
    if job.enabled.is_none() {
        notes.push(Note::new(
            "enabled",
            "V1's row does not say whether the job may run; V1 ran none such",
        ));
    }
    for reason in &read.reasons {
        notes.push(Note::new("enabled", format!("kept disabled: {reason}")));
    }
    let dates = Dates::of(
        &text(&job.created_date, "created_date"),
        &text(&job.modified_date, "modified_date"),
        options,
        &mut notes,
    );
    let description = text(&job.description, "description").map(|text| text.replace('\0', ""));
    let draft = Draft {
        key: identity.key.clone(),
        name: identity.name.clone(),
        description: description.filter(|text| !text.trim().is_empty()),
        kind: read.kind,
        enabled: job.enabled == Some(true) && !past && read.reasons.is_empty(),
        timeout: read.conduct.timeout,
        schedule: read
            .planned
            .as_ref()
            .map(|planned| planned.schedule.clone()),
        retry: read.conduct.retry,
        parameters: read.parameters,
        own: read.body.own,
        metadata: metadata(
            &read.configuration,
            job,
            name.as_deref(),
            &identity,
            &dates,
            options,
            read.unread,
        ),
        notes,
    };
    let yaml = yaml::write(&draft);
    let warnings = check(&draft, &yaml, options.types, options.now)?;
    claims.claim(&identity);
    Ok(Converted {
        job_id: identity.job_id,
        original_job_id: job.job_id.clone(),
        key: draft.key,
        name: draft.name,
        description: draft.description.unwrap_or_default(),
        job_type: read.kind.name(),
        enabled: draft.enabled,
        created: dates.created,
        modified: dates.modified,
        created_by: text(&job.created_by, "created_by").unwrap_or_else(|| NOBODY.to_owned()),
        timezone: draft.schedule.map_or(Tz::UTC, |schedule| schedule.timezone),
        yaml,
        notes: draft.notes,
        warnings,
        broken: read.reasons,
        weekday_difference: read.planned.and_then(|planned| planned.difference),
        raw: job.raw.clone(),
    })
}

/// When a job was created and changed.
struct Dates {
    created: DateTime<Utc>,
    modified: DateTime<Utc>,
    /// V1 says when it was created.
    known: bool,
}

impl Dates {
    fn of(
        created: &Option<String>,
        modified: &Option<String>,
        options: &Options<'_>,
        notes: &mut Vec<Note>,
    ) -> Self {
        let mut read = |name: &str, text: &Option<String>| {
            let text = text.as_deref()?;
            let found = date::read(text).and_then(|date| date.within(options.assume_timezone));
            if found.is_none() {
                let note = format!("V1's {name} `{}` can't be read", shown(text, 60));
                notes.push(Note::new("metadata", note));
            }
            found.map(|(at, _)| at)
        };
        let (created, modified) = (
            read("created_date", created),
            read("modified_date", modified),
        );
        if created.is_none() {
            let instead = if modified.is_some() {
                "that of its last change"
            } else {
                "that of the migration"
            };
            notes.push(Note::new(
                "metadata",
                format!("V1 has no date of creation; {instead} is taken"),
            ));
        }
        let known = created.is_some();
        let created = created.or(modified).unwrap_or(options.now);
        Self {
            created,
            modified: modified.unwrap_or(created),
            known,
        }
    }
}

fn metadata(
    configuration: &Configuration,
    job: &V1Job,
    name: Option<&str>,
    identity: &Identity,
    dates: &Dates,
    options: &Options<'_>,
    unread: Map<String, Value>,
) -> Vec<(String, Value)> {
    let date = |at: DateTime<Utc>| Value::from(at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    let text = |text: &str| fitting(&Value::from(text));
    let mut metadata = vec![("migratedFrom", Value::from("v1"))];
    metadata.extend(job.job_id.as_deref().map(|id| ("originalJobId", text(id))));
    let renamed = name.filter(|name| *name != identity.name);
    metadata.extend(renamed.map(|name| ("originalName", text(name))));
    metadata.push(("migrationDate", date(options.now)));
    if dates.known {
        metadata.push(("originalCreatedDate", date(dates.created)));
    }
    let own = configuration.get(&["metadata"]);
    metadata.extend(own.map(|(_, own)| ("originalMetadata", fitting(own))));
    if !unread.is_empty() {
        metadata.push(("notMigrated", Value::Object(unread)));
    }
    let named = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    named.collect()
}
