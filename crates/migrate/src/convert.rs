//! Rows of V1 as jobs of V2, one after the other. Never loses a row: each is
//! migrated or reported.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use crate::check::check;
use crate::draft::{Draft, fitting};
use crate::identity::{Claims, Identity};
use crate::job::V1Job;
use crate::origin::Origin;
use crate::reading::Read;
use crate::reason::Reason;
use crate::report::{Broken, Converted, Note, Options, Outcome, Report};
use crate::yaml;

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
        Ok(converted) => Outcome::Migrated(Box::new(Converted {
            raw: job.raw,
            ..converted
        })),
        Err(reasons) => Outcome::Broken(Broken {
            job_id: job.job_id,
            name: job.name,
            keepable: reasons.iter().all(Reason::leaves_the_script),
            reasons,
            raw: job.raw,
        }),
    }
}

/// Writes a job and reads it back. Its id and its name are taken when it proves
/// right, not before.
fn finish(
    read: Read,
    job: &V1Job,
    options: &Options<'_>,
    claims: &mut Claims,
) -> Result<Converted, Reason> {
    let origin = Origin::of(job, &read.configuration, options);
    let identity = claims.identify(job.job_id.as_deref(), origin.name.as_deref(), &job.raw);
    let draft = draft(&read, job, &origin, &identity, options);
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
        created: origin.created,
        modified: origin.modified,
        created_by: origin.created_by,
        timezone: draft.schedule.map_or(Tz::UTC, |schedule| schedule.timezone),
        yaml,
        notes: draft.notes,
        warnings,
        broken: read.reasons,
        weekday_difference: read.planned.and_then(|planned| planned.difference),
        raw: Value::Null,
    })
}

fn draft(
    read: &Read,
    job: &V1Job,
    origin: &Origin,
    identity: &Identity,
    options: &Options<'_>,
) -> Draft {
    let mut notes = read.notes.clone();
    notes.extend_from_slice(&identity.notes);
    notes.extend_from_slice(&origin.notes);
    if job.enabled.is_none() {
        let note = "V1's row does not say whether the job may run; V1 ran none such";
        notes.push(Note::new("enabled", note));
    }
    let kept = read.reasons.iter();
    notes.extend(kept.map(|reason| Note::new("enabled", format!("kept disabled: {reason}"))));
    Draft {
        key: identity.key.clone(),
        name: identity.name.clone(),
        description: origin.description.clone(),
        kind: read.kind,
        enabled: job.enabled == Some(true) && read.may_run(),
        timeout: read.conduct.timeout,
        schedule: read
            .planned
            .as_ref()
            .map(|planned| planned.schedule.clone()),
        retry: read.conduct.retry,
        parameters: read.parameters.clone(),
        own: read.body.own.clone(),
        metadata: metadata(read, job, origin, identity, options),
        notes,
    }
}

fn metadata(
    read: &Read,
    job: &V1Job,
    origin: &Origin,
    identity: &Identity,
    options: &Options<'_>,
) -> Vec<(String, Value)> {
    let date = |at: DateTime<Utc>| Value::from(at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    let text = |text: &str| fitting(&Value::from(text));
    let mut metadata = vec![("migratedFrom", Value::from("v1"))];
    metadata.extend(job.job_id.as_deref().map(|id| ("originalJobId", text(id))));
    let renamed = origin.name.as_deref().filter(|name| *name != identity.name);
    metadata.extend(renamed.map(|name| ("originalName", text(name))));
    metadata.push(("migrationDate", date(options.now)));
    if origin.known {
        metadata.push(("originalCreatedDate", date(origin.created)));
    }
    if job.enabled == Some(true) && !read.may_run() {
        metadata.push(("originalEnabled", Value::Bool(true)));
    }
    let own = read.configuration.get(&["metadata"]);
    metadata.extend(own.map(|(_, own)| ("originalMetadata", fitting(own))));
    if !read.unread.is_empty() {
        metadata.push(("notMigrated", Value::Object(read.unread.clone())));
    }
    let named = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    named.collect()
}
