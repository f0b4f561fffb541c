//! Reads a written job back with V2's own reader and compares it with what was
//! meant. Never lets a difference pass.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use jobcell_model::{Context, JobDocument, JobTypeSchema, Problem, parse_job_in};

use crate::draft::Draft;
use crate::reason::Reason;

/// What is doubtful in a job that says what was meant.
pub(crate) fn check(
    draft: &Draft,
    yaml: &str,
    types: &[JobTypeSchema],
    now: DateTime<Utc>,
) -> Result<Vec<Problem>, Reason> {
    let context = Context {
        calendars: None,
        now: Some(now),
        stored: false,
    };
    let document = parse_job_in(yaml, types, &context).map_err(|problems| Reason::Refused {
        problem: problems
            .first()
            .map_or_else(String::new, |problem| problem.message.clone()),
    })?;
    match first_difference(draft, &document) {
        Some(key) => Err(Reason::Changed {
            key: key.to_owned(),
        }),
        None => Ok(document.warnings),
    }
}

fn first_difference(draft: &Draft, document: &JobDocument) -> Option<&'static str> {
    let spec = &document.spec;
    let retry = spec
        .retry_policy
        .as_ref()
        .map(|policy| (policy.max_retries, policy.retry_delay));
    let own = draft
        .own
        .iter()
        .map(|own| (own.key.to_owned(), Value::from(own.value.as_str())));
    let metadata: Map<String, Value> = draft.metadata.iter().cloned().collect();
    let schedules = draft.schedule.as_slice();
    let pairs = [
        ("id", spec.id == draft.key),
        ("name", spec.name == draft.name),
        ("description", spec.description == draft.description),
        ("type", spec.job_type == draft.kind.name()),
        ("enabled", spec.enabled == draft.enabled),
        ("timeout", near(spec.timeout, draft.timeout)),
        ("schedule", spec.schedules == schedules),
        ("retryPolicy", same_retry(retry, draft.retry)),
        ("parameters", spec.parameters == draft.parameters),
        (
            "script",
            document.configuration == own.collect::<Map<_, _>>(),
        ),
        ("metadata", spec.metadata == metadata),
    ];
    pairs
        .into_iter()
        .find_map(|(key, same)| (!same).then_some(key))
}

/// Fractions of a second go through a 64-bit number.
fn near(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) < Duration::from_micros(1)
}

fn same_retry(one: Option<(u32, Duration)>, other: Option<(u32, Duration)>) -> bool {
    match (one, other) {
        (Some((one, delay)), Some((other, meant))) => one == other && near(delay, meant),
        (None, None) => true,
        _ => false,
    }
}
