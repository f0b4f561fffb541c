//! A job's schedule as it is written: when it is to fire. Never computes a
//! firing; the planner does.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::cron;
use crate::fields::{Fields, Taken};
use crate::instant;
use crate::outlook;
use crate::reader::Context;
use crate::spec::Seconds;
use crate::tree::Kind;
use crate::wording::{did_you_mean, nearest, shown};

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
    /// Names of the calendars on whose days and hours nothing fires.
    pub exclude: Vec<String>,
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let mut map = serializer.serialize_map(None)?;
        match &self.trigger {
            Trigger::Cron(expression) => {
                map.serialize_entry("type", "cron")?;
                map.serialize_entry("expression", expression)?;
            }
            Trigger::Interval(every) => {
                map.serialize_entry("type", "interval")?;
                map.serialize_entry("every", &Seconds(*every))?;
            }
            Trigger::Once(at) => {
                map.serialize_entry("type", "once")?;
                map.serialize_entry("at", &text(at))?;
            }
        }
        map.serialize_entry("timezone", self.timezone.name())?;
        for (key, date) in [("startDate", &self.start_date), ("endDate", &self.end_date)] {
            if let Some(date) = date {
                map.serialize_entry(key, &text(date))?;
            }
        }
        if !self.jitter.is_zero() {
            map.serialize_entry("jitter", &Seconds(self.jitter))?;
        }
        if !self.exclude.is_empty() {
            map.serialize_entry("exclude", &self.exclude)?;
        }
        map.end()
    }
}

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const YEARS: Duration = Duration::from_secs(10 * 366 * 86_400);
/// The shortest interval: anything below is a loop, not a schedule.
const SHORTEST: Duration = Duration::from_secs(1);
/// The most schedules of a job.
const MOST_SCHEDULES: usize = 20;
/// The most calendars that a schedule may name.
const MOST_CALENDARS: usize = 20;

#[derive(Clone, Copy)]
enum Type {
    Cron,
    Interval,
    Once,
}

/// Reads one schedule, or a list of them.
pub(crate) fn read(taken: &Taken<'_>, context: &Context<'_>) -> Vec<Schedule> {
    let Kind::List(items) = &taken.node.kind else {
        return one(taken, context).into_iter().collect();
    };
    match items.len() {
        0 => taken.empty(),
        1..=MOST_SCHEDULES => {}
        _ => {
            let message = format!("a job has at most {MOST_SCHEDULES} schedules");
            taken.wrong("out_of_range", message, None);
            return Vec::new();
        }
    }
    let items = taken.items().unwrap_or_default();
    items.iter().filter_map(|item| one(item, context)).collect()
}

fn one(taken: &Taken<'_>, context: &Context<'_>) -> Option<Schedule> {
    let mut fields = Fields::of(taken)?;
    let types = [
        ("cron", Type::Cron),
        ("interval", Type::Interval),
        ("once", Type::Once),
        ("date", Type::Once),
    ];
    let found = fields.require("type", &[]);
    let found = found.and_then(|taken| taken.word(&types));
    let zone = fields
        .take("timezone", &[])
        .and_then(|taken| timezone(&taken))
        .unwrap_or(Tz::UTC);
    let trigger = found.and_then(|found| trigger(&mut fields, found, zone));
    let (start_date, end_date) = bounds(&mut fields, trigger.as_ref(), zone);
    let jitter = fields
        .take("jitter", &[])
        .and_then(|taken| taken.duration(WEEK));
    let exclude = fields.take("exclude", &[]);
    let exclude = exclude
        .map(|taken| calendars(&taken, context))
        .unwrap_or_default();
    if found.is_some() {
        fields.refuse_rest();
    }
    let schedule = Schedule {
        trigger: trigger?,
        timezone: zone,
        start_date,
        end_date,
        jitter: jitter.unwrap_or_default(),
        exclude,
    };
    outlook::warn_of_clock_changes(taken, &schedule, context);
    Some(schedule)
}

/// Reads the bounds of a schedule, which must leave it something.
fn bounds(
    fields: &mut Fields<'_>,
    trigger: Option<&Trigger>,
    zone: Tz,
) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let start = fields.take("startDate", &[]);
    let start_date = start.as_ref().and_then(|taken| instant::read(taken, zone));
    let end = fields.take("endDate", &[]);
    let end_date = end.as_ref().and_then(|taken| instant::read(taken, zone));
    if let (Some(start), Some(end_date), Some(end)) = (start_date, end_date, &end)
        && end_date <= start
    {
        end.wrong(
            "out_of_range",
            format!("`{}` is not after `startDate`", end.key),
            None,
        );
    }
    if let Some(Trigger::Once(at)) = trigger {
        refuse_never(
            *at,
            start.as_ref().zip(start_date),
            end.as_ref().zip(end_date),
        );
    }
    (start_date, end_date)
}

/// The names of calendars, checked where the calendars are known.
fn calendars(taken: &Taken<'_>, context: &Context<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for item in taken.list_of_at_most(MOST_CALENDARS) {
        let Some(name) = item.text() else { continue };
        let unknown = context.calendars.filter(|known| !known.contains_key(name));
        if let Some(known) = unknown {
            let hint = nearest(name, known.keys().map(String::as_str)).map(did_you_mean);
            let hint = hint
                .unwrap_or_else(|| "calendars are set up by the server's configuration".to_owned());
            let message = format!("the calendar `{}` is not known", shown(name));
            item.wrong("unknown_calendar", message, Some(&hint));
        }
        if names.iter().any(|other| other == name) {
            item.twice(name);
        }
        names.push(name.to_owned());
    }
    names
}

/// Refuses bounds that leave out the one time that a job is to fire.
fn refuse_never(
    at: DateTime<Utc>,
    start: Option<(&Taken<'_>, DateTime<Utc>)>,
    end: Option<(&Taken<'_>, DateTime<Utc>)>,
) {
    let refuse = |bound: &Taken<'_>, side: &str| {
        let message = format!(
            "the job never fires: the one time that it is to fire lies {side} `{}`",
            bound.key
        );
        bound.wrong(
            "never_fires",
            message,
            Some("leave this key out, or correct the time"),
        );
    };
    match (start, end) {
        (Some((bound, start)), _) if at < start => refuse(bound, "before"),
        (_, Some((bound, end))) if at > end => refuse(bound, "after"),
        _ => {}
    }
}

fn trigger(fields: &mut Fields<'_>, found: Type, zone: Tz) -> Option<Trigger> {
    match found {
        Type::Cron => expression(&fields.require("expression", &["cron"])?).map(Trigger::Cron),
        // The original's migration wrote every schedule's text as `expression`.
        Type::Interval => {
            interval(&fields.require("every", &["interval", "expression"])?).map(Trigger::Interval)
        }
        Type::Once => {
            let at = fields.require("at", &["runDate", "runAt", "expression"])?;
            instant::read(&at, zone).map(Trigger::Once)
        }
    }
}

fn timezone(taken: &Taken<'_>) -> Option<Tz> {
    let name = taken.text()?;
    if let Ok(zone) = name.parse::<Tz>() {
        return Some(zone);
    }
    let hint = match nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())) {
        Some(meant) => did_you_mean(meant),
        None => "use an IANA name such as `Europe/Berlin`, or `UTC`".to_owned(),
    };
    let message = format!("the time zone `{}` is not known", shown(name));
    taken.wrong("unknown_zone", message, Some(&hint));
    None
}

fn expression(taken: &Taken<'_>) -> Option<String> {
    let expression = taken.text()?;
    match cron::parse(expression) {
        Ok(_) => {
            if let Some((step, field)) = cron::oversized_step(expression) {
                let message =
                    format!("`{step}` steps out of its field: it matches one {field} only");
                let hint = Some("for other intervals use `type: interval` with `every`".to_owned());
                let place = taken.node.place;
                taken
                    .notes
                    .warning("oversized_step", &taken.pointer, place, message, hint);
            }
            return Some(expression.to_owned());
        }
        Err(error @ cron::CronError::Never { .. }) => {
            let hint = "check its day and month: no month has that day";
            taken.wrong("never_fires", error.to_string(), Some(hint));
        }
        Err(error @ cron::CronError::Syntax { .. }) => {
            let hint =
                "five fields: minute hour day month weekday, e.g. `0 2 * * 0`; 0 and 7 are Sunday";
            taken.wrong("bad_cron", error.to_string(), Some(hint));
        }
    }
    None
}

/// `1h30m`, a number of seconds, or a mapping of units as the original wrote it.
fn interval(taken: &Taken<'_>) -> Option<Duration> {
    let every = match &taken.node.kind {
        Kind::Map(_) => units(taken)?,
        _ => taken.duration(YEARS)?,
    };
    if every >= SHORTEST {
        return Some(every);
    }
    let message = format!("`{}` must be at least 1 second", taken.key);
    taken.wrong("out_of_range", message, Some("for example `every: 15m`"));
    None
}

fn units(taken: &Taken<'_>) -> Option<Duration> {
    let mut fields = Fields::of(taken)?;
    let units = [
        ("weeks", 604_800),
        ("days", 86_400),
        ("hours", 3_600),
        ("minutes", 60),
        ("seconds", 1),
    ];
    let mut sum = Duration::ZERO;
    let mut fine = true;
    for (unit, seconds) in units {
        let Some(count) = fields.take(unit, &[]) else {
            continue;
        };
        match count.count(0, 100_000) {
            Some(count) => sum += Duration::from_secs(u64::from(count) * seconds),
            None => fine = false,
        }
    }
    fields.refuse_rest();
    if fine && sum > YEARS {
        taken.wrong(
            "out_of_range",
            "the interval must be at most ten years",
            None,
        );
        fine = false;
    }
    fine.then_some(sum)
}
