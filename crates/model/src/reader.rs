//! Reads a job: the keys that all job types share here, a type's own keys by
//! its schema. Finds as many mistakes as there are in one pass.

use std::time::Duration;

use crate::configuration;
use crate::document::JobDocument;
use crate::fields::{Fields, Taken};
use crate::id::JobId;
use crate::parts;
use crate::problem::{Problem, Problems, did_you_mean, nearest};
use crate::schedule;
use crate::spec::{JobSpec, OnInterrupted};
use crate::tree::{self, Kind};

/// What a job type adds to a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTypeSchema {
    /// The word for `type:`.
    pub name: String,
    /// JSON Schema (2020-12) of the keys that it adds: an object schema with
    /// `properties`.
    pub schema: serde_json::Value,
}

/// How long a run may take unless its job says otherwise.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How long any job may ask for: a month.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(31 * 86_400);
/// The longest id, in characters.
const LONGEST_ID: usize = 200;
/// Ids that a route has taken.
const RESERVED: [&str; 2] = ["samples", "validate"];

/// Reads a job of one of these types.
///
/// # Errors
/// All that must be put right, in the order of the text.
pub fn parse_job(text: &str, types: &[JobTypeSchema]) -> Result<JobDocument, Vec<Problem>> {
    let problems = Problems::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = tree::read(text, &problems);
    let read = root.and_then(|root| {
        let read = read(&root, types, &problems)?;
        Some((root, read))
    });
    match read {
        Some((root, (spec, configuration, normal))) if problems.is_empty() => {
            Ok(JobDocument::new(root, spec, configuration, normal))
        }
        _ => Err(problems.into_sorted()),
    }
}

type Json = serde_json::Map<String, serde_json::Value>;

fn read(
    root: &tree::Node,
    types: &[JobTypeSchema],
    problems: &Problems,
) -> Option<(JobSpec, Json, Json)> {
    let mut fields = Fields::of(root, "", problems)?;
    let id = id(&mut fields);
    let name = fields.required_text("name").map(|(name, _)| name);
    let job_type = job_type(&mut fields, types);
    let description = fields.text("description").map(|(text, _)| text);
    let enabled = fields.boolean("enabled").unwrap_or(true);
    let timeout = timeout(&mut fields);
    let schedule = fields.take("schedule", &[]).and_then(|taken| {
        if taken.node.kind == Kind::Null {
            return None;
        }
        let (schedule, normal) = schedule::read(taken.node, "/schedule", problems)?;
        fields.normal.insert("schedule".to_owned(), normal);
        Some(schedule)
    });
    let retry_policy = parts::retry_policy(&mut fields);
    let parameters = parts::parameters(&mut fields);
    let metadata = parts::metadata(&mut fields);
    let concurrency = parts::concurrency(&mut fields);
    let catch_up = parts::catch_up(&mut fields);
    let limits = parts::limits(&mut fields);
    let environment = parts::environment(&mut fields);
    let notifications = parts::notifications(&mut fields);
    let words = [
        ("fail", OnInterrupted::Fail),
        ("retry", OnInterrupted::Retry),
    ];
    let on_interrupted = fields
        .word("onInterrupted", &words)
        .unwrap_or(OnInterrupted::Fail);
    // Without a known type nobody can tell which other keys are right.
    let job_type = job_type?;
    fields
        .normal
        .insert("type".to_owned(), job_type.name.clone().into());
    let configuration = configuration::take(&mut fields, &job_type.schema);
    fields.normal.extend(configuration.clone());
    let spec = JobSpec {
        id: id?,
        name: name?,
        description,
        job_type: job_type.name.clone(),
        enabled,
        timeout: timeout?,
        schedule,
        retry_policy,
        parameters,
        metadata,
        concurrency,
        catch_up,
        limits,
        environment,
        notifications,
        on_interrupted,
    };
    Some((spec, configuration, fields.normal))
}

fn id(fields: &mut Fields<'_>) -> Option<String> {
    let (id, taken) = fields.required_text("id")?;
    let reason = id_mistake(&id);
    if reason.is_empty() {
        return Some(id);
    }
    let hint = "use letters, digits, `-`, `_` and `.`, for example `nightly-backup`";
    fields.wrong(
        &taken,
        "bad_id",
        format!("the id `{id}` {reason}"),
        Some(hint),
    );
    None
}

/// Why an id can't be used; empty when it can.
fn id_mistake(id: &str) -> &'static str {
    match id {
        _ if id.chars().count() > LONGEST_ID => "is longer than 200 characters",
        _ if id.chars().any(|one| one == '/' || one == '\\') => {
            "contains `/` or `\\`, which no path of the API can carry"
        }
        _ if id.chars().any(char::is_control) => "contains a control character",
        _ if id.trim() != id => "begins or ends with a blank",
        "." | ".." => "is a step in a path",
        _ if RESERVED.contains(&id) => "is the name of a route of the API",
        _ if id.parse::<JobId>().is_ok() => "is a UUID, which is how the server names jobs itself",
        _ => "",
    }
}

fn job_type<'t>(fields: &mut Fields<'_>, types: &'t [JobTypeSchema]) -> Option<&'t JobTypeSchema> {
    let (name, taken) = fields.required_text("type")?;
    let lower = name.to_lowercase();
    if let Some(found) = types
        .iter()
        .find(|known| known.name.to_lowercase() == lower)
    {
        return Some(found);
    }
    let names: Vec<&str> = types.iter().map(|known| known.name.as_str()).collect();
    let hint = match nearest(&name, names.iter().copied()) {
        Some(meant) => did_you_mean(meant),
        None => format!("known here: {}", names.join(", ")),
    };
    let message = format!(
        "the job type `{name}` is not installed; there are {}",
        names.join(", ")
    );
    fields.wrong(&taken, "unknown_type", message, Some(&hint));
    None
}

fn timeout(fields: &mut Fields<'_>) -> Option<Duration> {
    let given = fields.duration("timeout", LONGEST_TIMEOUT);
    match given {
        Some(Duration::ZERO) => {
            let taken = Taken {
                key: "timeout",
                node: fields.node("timeout")?,
            };
            fields.wrong(
                &taken,
                "out_of_range",
                "`timeout` must be longer than nothing",
                None,
            );
            None
        }
        Some(timeout) => Some(timeout),
        // A wrong one was reported.
        None if fields.normal.contains_key("timeout") => None,
        None => Some(TIMEOUT),
    }
}
