//! A job's schedule as it is written: when it is to fire. Never computes an
//! instant; the planner does.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;

use crate::cron;
use crate::fields::{Fields, Taken};
use crate::problem::{Problems, did_you_mean, nearest};
use crate::tree::Node;

/// What makes a schedule fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A cron expression.
    Cron(String),
    /// Again and again after this time.
    Interval(Duration),
    /// At one instant.
    Once(DateTime<Utc>),
}

/// When a job is to fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What makes it fire.
    pub trigger: Trigger,
    /// The IANA zone that its times are read in.
    pub timezone: Tz,
    /// Nothing fires before.
    pub start_date: Option<DateTime<Utc>>,
    /// Nothing fires after.
    pub end_date: Option<DateTime<Utc>>,
    /// How much later than due a firing may be put, the same for each job.
    pub jitter: Duration,
}

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const YEARS: Duration = Duration::from_secs(10 * 366 * 86_400);

#[derive(Clone, Copy)]
enum Kind {
    Cron,
    Interval,
    Once,
}

/// Reads a schedule and gives it with its keys as they are spelled today.
pub(crate) fn read(
    node: &Node,
    pointer: &str,
    problems: &Problems,
) -> Option<(Schedule, serde_json::Value)> {
    let mut fields = Fields::of(node, pointer, problems)?;
    let kinds = [
        ("cron", Kind::Cron),
        ("interval", Kind::Interval),
        ("once", Kind::Once),
        ("date", Kind::Once),
    ];
    let kind = fields.word("type", &kinds);
    let timezone = timezone(&mut fields);
    let zone = timezone.unwrap_or(Tz::UTC);
    if kind.is_none() && !fields.normal.contains_key("type") {
        fields.missing("type");
    }
    let trigger = match kind? {
        Kind::Cron => expression(&mut fields).map(Trigger::Cron),
        Kind::Interval => interval(&mut fields).map(Trigger::Interval),
        Kind::Once => {
            let at = instant(
                &mut fields,
                "at",
                &["run_date", "runDate", "runAt", "run_at"],
                zone,
            );
            if at.is_none() && !fields.normal.contains_key("at") {
                fields.missing("at");
            }
            at.map(Trigger::Once)
        }
    };
    let start_date = instant(&mut fields, "startDate", &[], zone);
    let end_date = instant(&mut fields, "endDate", &[], zone);
    let jitter = fields.duration("jitter", WEEK).unwrap_or_default();
    if let (Some(start), Some(end)) = (start_date, end_date)
        && end <= start
    {
        let message = "`endDate` is not after `startDate`";
        problems.error("out_of_range", pointer, node.place, message, None);
    }
    fields.refuse_rest();
    timezone?;
    let normal = serde_json::Value::Object(fields.normal);
    Some((
        Schedule {
            trigger: trigger?,
            timezone: zone,
            start_date,
            end_date,
            jitter,
        },
        normal,
    ))
}

fn timezone(fields: &mut Fields<'_>) -> Option<Tz> {
    let Some((name, taken)) = fields.text("timezone") else {
        // A wrong one was reported; without one it is UTC.
        return (!fields.normal.contains_key("timezone")).then_some(Tz::UTC);
    };
    if let Ok(zone) = name.parse::<Tz>() {
        return Some(zone);
    }
    let hint = match nearest(&name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())) {
        Some(meant) => did_you_mean(meant),
        None => "use an IANA name such as `Europe/Berlin`, or `UTC`".to_owned(),
    };
    let message = format!("the time zone `{name}` is not known");
    fields.wrong(&taken, "unknown_zone", message, Some(&hint));
    None
}

fn expression(fields: &mut Fields<'_>) -> Option<String> {
    let taken = fields.take("expression", &["cron"]);
    let Some(taken) = taken else {
        fields.missing("expression");
        return None;
    };
    let crate::tree::Kind::Text(expression) = &taken.node.kind else {
        let message = format!("`{}` must be text; put it in quotes", taken.key);
        fields.wrong(&taken, "wrong_type", message, None);
        return None;
    };
    match cron::parse(expression) {
        Ok(_) => Some(expression.clone()),
        Err(error @ cron::CronError::Never { .. }) => {
            fields.wrong(&taken, "never_fires", error.to_string(), None);
            None
        }
        Err(error @ cron::CronError::Syntax { .. }) => {
            let hint =
                "five fields: minute hour day month weekday, e.g. `0 2 * * 0`; 0 and 7 are Sunday";
            fields.wrong(&taken, "bad_cron", error.to_string(), Some(hint));
            None
        }
    }
}

/// `every: 1h30m`, or `interval:` as the original wrote it.
fn interval(fields: &mut Fields<'_>) -> Option<Duration> {
    let every = match fields.take("interval", &[]) {
        Some(taken) => parts(fields, &taken),
        None => {
            let every = fields.duration("every", YEARS);
            if every.is_none() && !fields.normal.contains_key("every") {
                fields.missing("every");
            }
            every
        }
    };
    if every == Some(Duration::ZERO) {
        let message = "the interval must be longer than nothing";
        fields
            .problems
            .error("out_of_range", &fields.pointer, fields.place, message, None);
        return None;
    }
    every
}

fn parts(fields: &Fields<'_>, taken: &Taken<'_>) -> Option<Duration> {
    let pointer = fields.pointer_to(taken.key);
    let mut parts = Fields::of(taken.node, &pointer, fields.problems)?;
    let units = [
        ("weeks", 604_800),
        ("days", 86_400),
        ("hours", 3_600),
        ("minutes", 60),
        ("seconds", 1),
    ];
    let mut sum = 0;
    for (unit, seconds) in units {
        sum += parts.count(unit, 0, 100_000).unwrap_or(0) * seconds;
    }
    parts.refuse_rest();
    Some(Duration::from_secs(sum))
}

/// RFC 3339, or a local time of the schedule's zone.
fn instant(
    fields: &mut Fields<'_>,
    key: &'static str,
    spellings: &[&str],
    zone: Tz,
) -> Option<DateTime<Utc>> {
    let taken = fields.take(key, spellings)?;
    let crate::tree::Kind::Text(text) = &taken.node.kind else {
        fields.wrong(
            &taken,
            "wrong_type",
            format!("`{}` must be text", taken.key),
            None,
        );
        return None;
    };
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.to_utc());
    }
    let formats = [
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ];
    let local = formats
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let Some(local) = local else {
        let hint = "write it as `2027-03-28T09:00:00`, in the schedule's zone, or with an offset";
        let message = format!("`{text}` is no date and time");
        fields.wrong(&taken, "bad_date", message, Some(hint));
        return None;
    };
    let Some(instant) = local.and_local_timezone(zone).earliest() else {
        let message = format!("{local} does not exist in {zone}: the clocks are put forward then");
        fields.wrong(&taken, "bad_date", message, None);
        return None;
    };
    Some(instant.to_utc())
}
