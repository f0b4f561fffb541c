//! Reads a job: the keys that all job types share here, a type's own keys by
//! its schema. Finds as many mistakes as there are in one pass. Never changes
//! or keeps the text.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::configuration;
use crate::document::JobDocument;
use crate::fields::{Fields, Taken};
use crate::id::JobId;
use crate::job_type::JobTypeSchema;
use crate::links;
use crate::notes::Notes;
use crate::outlook;
use crate::parameters;
use crate::parts;
use crate::plan::Calendars;
use crate::problem::{Problem, Severity};
use crate::schedule;
use crate::spec::{JobSpec, OnInterrupted};
use crate::tree::Node;
use crate::wording::{did_you_mean, is_plain, nearest, shown};
use crate::yaml;

/// How long a run may take unless its job says otherwise.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How long any job may ask for: 31 days.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(31 * 86_400);
/// The longest id, in characters.
const LONGEST_ID: usize = 200;
/// The longest name, in characters.
const LONGEST_NAME: usize = 255;
/// Ids that a route has taken.
const RESERVED: [&str; 2] = ["samples", "validate"];

/// Reads a job of one of these types.
///
/// # Errors
/// All that must be put right, in the order of the text.
pub fn parse_job(text: &str, types: &[JobTypeSchema]) -> Result<JobDocument, Vec<Problem>> {
    parse_job_in(text, types, &Context::default())
}

/// What a job is read for, as far as the reader knows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The calendars that schedules may name. Without them names are taken as
    /// they are, and `expectFirings` is not checked where calendars matter.
    pub calendars: Option<&'a Calendars>,
    /// From when on warnings look ahead; without it from the year after the
    /// zone database's.
    pub now: Option<DateTime<Utc>>,
    /// Whether it was checked when it was stored. What it comes to is not
    /// computed again then: a job must not end because a zone's rules changed.
    pub stored: bool,
}

/// The same for one who knows more about where the job is to run.
///
/// # Errors
/// All that must be put right, in the order of the text.
pub fn parse_job_in(
    text: &str,
    types: &[JobTypeSchema],
    context: &Context<'_>,
) -> Result<JobDocument, Vec<Problem>> {
    let notes = Notes::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = yaml::read(text, &notes);
    let read = root
        .as_ref()
        .and_then(|root| read(root, types, &notes, context));
    let (findings, renamed) = notes.finish();
    let (errors, warnings): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    match (root, read) {
        (Some(root), Some((spec, configuration))) if errors.is_empty() => Ok(JobDocument {
            spec,
            configuration,
            warnings,
            renamed,
            root,
        }),
        _ => Err(errors),
    }
}

/// The job, or none when the notes say why not. A value that was refused
/// stands as its default here: nobody gets to see it.
fn read(
    root: &Node,
    types: &[JobTypeSchema],
    notes: &Notes,
    context: &Context<'_>,
) -> Option<(JobSpec, Map<String, Value>)> {
    let mut fields = Fields::of_job(root, notes)?;
    let id = fields.require("id", &[]).and_then(|taken| id(&taken));
    let name = fields.require("name", &[]).and_then(|taken| name(&taken));
    let job_type = fields
        .require("type", &[])
        .and_then(|taken| job_type(&taken, types));
    let words = [
        ("fail", OnInterrupted::Fail),
        ("retry", OnInterrupted::Retry),
    ];
    let mut spec = JobSpec {
        id: id.unwrap_or_default(),
        name: name.unwrap_or_default(),
        description: fields
            .take("description", &[])
            .and_then(|taken| description(&taken)),
        job_type: job_type
            .map(|job_type| job_type.name().to_owned())
            .unwrap_or_default(),
        enabled: fields
            .take("enabled", &[])
            .and_then(|taken| taken.boolean())
            .unwrap_or(true),
        timeout: fields
            .take("timeout", &[])
            .and_then(|taken| taken.positive_duration(LONGEST_TIMEOUT))
            .unwrap_or(TIMEOUT),
        schedules: fields
            .take("schedule", &[])
            .map(|taken| schedule::read(&taken, context))
            .unwrap_or_default(),
        expect_firings: Vec::new(),
        after: Vec::new(),
        priority: links::priority(&mut fields),
        retry_policy: parts::retry_policy(&mut fields),
        parameters: parameters::read(&mut fields),
        metadata: parts::metadata(&mut fields),
        concurrency: links::concurrency(&mut fields),
        catch_up: parts::catch_up(&mut fields),
        limits: parts::limits(&mut fields),
        environment: parts::environment(&mut fields),
        notifications: parts::notifications(&mut fields),
        on_interrupted: OnInterrupted::Fail,
    };
    let on_interrupted = fields
        .take("onInterrupted", &[])
        .and_then(|taken| taken.word(&words));
    spec.on_interrupted = on_interrupted.unwrap_or(OnInterrupted::Fail);
    spec.after = links::after(&mut fields, &spec.id);
    spec.expect_firings = outlook::expected(&mut fields, &spec.schedules, context);
    let Some(job_type) = job_type else {
        refuse_what_no_type_knows(&fields, types);
        return None;
    };
    let configuration = configuration::take(&mut fields, root, job_type);
    Some((spec, configuration))
}

/// Without a known type only those keys are surely wrong that no type has.
fn refuse_what_no_type_knows(fields: &Fields<'_>, types: &[JobTypeSchema]) {
    let all: Vec<&str> = types
        .iter()
        .flat_map(|known| configuration::keys(known.schema()))
        .collect();
    for entry in fields.rest() {
        let fits = |key: &&str| entry.key == **key || entry.key == crate::fields::snake_case(key);
        if !all.iter().any(fits) {
            fields.unknown(entry, &all);
        }
    }
}

fn id(taken: &Taken<'_>) -> Option<String> {
    let id = taken.text()?;
    let Some(reason) = id_mistake(id) else {
        return Some(id.to_owned());
    };
    let hint = "use letters, digits, `-`, `_` and `.`, for example `nightly-backup`";
    taken.wrong(
        "bad_id",
        format!("the id `{}` {reason}", shown(id)),
        Some(hint),
    );
    None
}

/// Why an id can't be used.
fn id_mistake(id: &str) -> Option<&'static str> {
    Some(match id {
        _ if id.chars().count() > LONGEST_ID => "is longer than 200 characters",
        _ if id.contains(['/', '\\']) => "contains `/` or `\\`, which no path of the API can carry",
        _ if !id.chars().all(is_plain) => "contains a control or an invisible character",
        _ if id.trim() != id => "begins or ends with a blank",
        "." | ".." => "is a step in a path",
        _ if RESERVED.contains(&id) => "is the name of a route of the API",
        _ if id.parse::<JobId>().is_ok() => "is a UUID, which is how the server names jobs itself",
        _ => return None,
    })
}

fn name(taken: &Taken<'_>) -> Option<String> {
    let name = taken.text()?;
    let reason = match name {
        _ if name.chars().count() > LONGEST_NAME => "is longer than 255 characters",
        _ if name.chars().any(char::is_control) => {
            "contains a line break or another control character"
        }
        _ => return Some(name.to_owned()),
    };
    let hint = "put what needs more room into `description`";
    taken.wrong(
        "bad_name",
        format!("the name `{}` {reason}", shown(name)),
        Some(hint),
    );
    None
}

fn description(taken: &Taken<'_>) -> Option<String> {
    taken
        .any_text()
        .filter(|text| !text.trim().is_empty())
        .map(str::to_owned)
}

fn job_type<'t>(taken: &Taken<'_>, types: &'t [JobTypeSchema]) -> Option<&'t JobTypeSchema> {
    let name = taken.text()?;
    let lower = name.to_lowercase();
    if let Some(found) = types
        .iter()
        .find(|known| known.name().to_lowercase() == lower)
    {
        return Some(found);
    }
    let names: Vec<&str> = types.iter().map(|known| known.name()).collect();
    let there_are = match names.join(", ") {
        none if none.is_empty() => "no job type is".to_owned(),
        some => format!("there are {some}"),
    };
    let hint = nearest(name, names).map(did_you_mean);
    let message = format!(
        "the job type `{}` is not installed; {there_are}",
        shown(name)
    );
    let hint = hint.unwrap_or_else(|| "install the plugin of this type, or correct it".to_owned());
    taken.wrong("unknown_type", message, Some(&hint));
    None
}
