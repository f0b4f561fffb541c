//! A row, read as far as it can be: every reason why it can't be migrated is
//! found, not the first alone. Never writes a job.

use serde_json::{Map, Value};

use jobcell_model::Parameter;

use crate::body::{self, Body, Kind};
use crate::conduct::{self, Conduct};
use crate::configuration::{Configuration, DROPPED};
use crate::draft::fitting;
use crate::job::V1Job;
use crate::parameters;
use crate::reason::Reason;
use crate::report::{Note, Options};
use crate::row::{shown, text_of};
use crate::schedule::{self, Planned};
use crate::source::{Source, Written, find_source};

/// A row, read as far as it can be.
pub(crate) struct Read {
    pub(crate) kind: Kind,
    pub(crate) configuration: Configuration,
    pub(crate) body: Body,
    pub(crate) conduct: Conduct,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) planned: Option<Planned>,
    pub(crate) notes: Vec<Note>,
    /// Why it can't be migrated as it is.
    pub(crate) reasons: Vec<Reason>,
    /// What could not be read, as V1 had it.
    pub(crate) unread: Map<String, Value>,
}

impl Read {
    pub(crate) fn new(job: &V1Job, options: &Options<'_>) -> Result<Self, Vec<Reason>> {
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
            body: body::read(kind, &configuration, options.connections.as_ref()),
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

    /// Whether nothing but V1's own switch keeps the job from running.
    pub(crate) fn may_run(&self) -> bool {
        let past = self.planned.as_ref().is_some_and(|planned| planned.past);
        self.reasons.is_empty() && !past
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
            Ok(Source::Off(written, place, other)) => {
                let note = format!("V1's is switched off in {place}: {}", written.shown());
                self.note("schedule", note);
                if let Some(other) = other {
                    self.another(&other);
                }
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
                self.another(other);
            }
        }
        self.planned = Some(planned);
    }

    /// Tells of a schedule that does not count.
    fn another(&mut self, other: &Written) {
        let other = other.shown();
        let note = format!("the columns of V1's row count; its configuration had another: {other}");
        self.note("schedule", note);
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
            self.note(
                "",
                format!("not carried over, as V2 has no key for it: {keys}"),
            );
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
