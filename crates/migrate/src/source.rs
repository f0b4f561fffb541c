//! Which of the places where V1 kept schedules counts for a job. Never reads
//! what a schedule says.

use serde_json::{Map, Value};

use crate::configuration::{Configuration, find};
use crate::job::V1Job;
use crate::reason::{Reason, kind_of};
use crate::row::{shown, truth_of};

/// A schedule as V1 kept it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    /// Its keys.
    pub(crate) keys: Map<String, Value>,
    /// The zone beside it, which counts when it names none itself.
    pub(crate) zone: Option<String>,
}

impl Written {
    /// It for a note: `cron` `0 0 9 * * 1-5` `Europe/London`.
    pub(crate) fn shown(&self) -> String {
        let values = self.keys.values().filter(|value| !value.is_null());
        let texts = values.map(|value| {
            format!(
                "`{}`",
                shown(&crate::row::text_of(value).unwrap_or_default(), 60)
            )
        });
        texts.collect::<Vec<_>>().join(" ")
    }
}

/// Where a job's schedule stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// Nowhere.
    None,
    /// It is there, but switched off; and so is the other, if there is one.
    Off(Written, &'static str, Option<Written>),
    /// Here; and there is another one that does not count.
    On(Written, Option<Written>),
}

const COLUMNS: &str = "the columns of the row";
const CONFIGURATION: &str = "the configuration";

/// Finds the schedule of a job: the columns of its row count where they are
/// switched on or off on purpose, else what its configuration says.
pub(crate) fn find_source(job: &V1Job, configuration: &Configuration) -> Result<Source, Reason> {
    let own = own(job, configuration);
    let Some(columns) = columns(job) else {
        return Ok(match own? {
            None => Source::None,
            Some((own, true)) => Source::On(own, None),
            Some((own, false)) => Source::Off(own, CONFIGURATION, None),
        });
    };
    let other = match own {
        Ok(own) => own.map(|(own, _)| own),
        // It does not count, so all that can be done with it is to show it.
        Err(_) => configuration
            .get(&["schedule"])
            .map(|(key, value)| Written {
                keys: Map::from_iter([(key.to_owned(), value.clone())]),
                zone: None,
            }),
    };
    Ok(if job.schedule_enabled == Some(true) {
        Source::On(columns, other)
    } else {
        // Whoever wrote it there and did not switch it on wants none to fire.
        Source::Off(columns, COLUMNS, other)
    })
}

fn columns(job: &V1Job) -> Option<Written> {
    let expression = job.schedule_expression.as_deref()?;
    let mut keys = Map::new();
    let kind = job.schedule_type.as_deref().map(Value::from);
    keys.extend(kind.map(|kind| ("type".to_owned(), kind)));
    keys.insert("expression".to_owned(), Value::from(expression));
    Some(Written {
        keys,
        zone: job.timezone.clone(),
    })
}

/// The schedule in the configuration, and whether it is switched on.
fn own(job: &V1Job, configuration: &Configuration) -> Result<Option<(Written, bool)>, Reason> {
    let keys = match configuration.get(&["schedule"]) {
        None => return Ok(None),
        Some((_, Value::Object(keys))) => keys.clone(),
        Some((_, Value::String(text))) => match serde_json::from_str(text) {
            Ok(Value::Object(keys)) => keys,
            _ => return Err(Reason::NoSchedule { found: "text" }),
        },
        Some((_, other)) => {
            return Err(Reason::NoSchedule {
                found: kind_of(other),
            });
        }
    };
    let on = find(&keys, "enabled").and_then(truth_of) != Some(false);
    let zone = configuration.get(&["timezone"]);
    let zone = zone.and_then(|(_, zone)| zone.as_str().map(str::to_owned));
    let zone = zone.or_else(|| job.timezone.clone());
    Ok(Some((Written { keys, zone }, on)))
}
