//! V1's schedules as V2's: cron, interval, once. Never lets an unknown zone
//! become UTC.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value};

use jobcell_model::plan::{Calendars, Plan};
use jobcell_model::schedule::{Schedule, Trigger};

use crate::configuration::find;
use crate::cron;
use crate::date::{self, Shift};
use crate::interval;
use crate::reason::Reason;
use crate::report::{Note, Options};
use crate::row::{is_blank, shown, text_of};
use crate::source::Written;
use crate::weekday::WeekdayDifference;

/// How many instants are shown of each reading.
const SHOWN: usize = 5;
/// What V1's forms and its validator called the one time of a job, the one that
/// says what was typed first.
const TIMES: [&str; 8] = [
    "local_time",
    "run_date",
    "run_at",
    "at",
    "execute_at",
    "date",
    "datetime",
    "expression",
];

/// A schedule as V2 has it.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) schedule: Schedule,
    pub(crate) notes: Vec<Note>,
    /// Its one time has gone by.
    pub(crate) past: bool,
    pub(crate) difference: Option<WeekdayDifference>,
}

/// When a schedule begins and when it ends.
type Bounds = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

#[derive(Clone, Copy)]
enum Kind {
    Cron,
    Interval,
    Once,
}

struct Reader<'a> {
    keys: &'a Map<String, Value>,
    zone: Tz,
    options: &'a Options<'a>,
    notes: Vec<Note>,
    difference: Option<WeekdayDifference>,
}

/// Reads a schedule.
pub(crate) fn read(written: &Written, options: &Options<'_>) -> Result<Planned, Reason> {
    let mut notes = Vec::new();
    let zone = zone(written, &mut notes)?;
    let mut reader = Reader {
        keys: &written.keys,
        zone,
        options,
        notes,
        difference: None,
    };
    let trigger = match reader.kind()? {
        Kind::Cron => reader.cron()?,
        Kind::Interval => Trigger::Interval(reader.interval()?),
        Kind::Once => Trigger::Once(reader.once()?),
    };
    let past = matches!(trigger, Trigger::Once(at) if at <= options.now);
    let (start_date, end_date) = reader.bounds(&trigger)?;
    Ok(Planned {
        schedule: Schedule {
            trigger,
            timezone: zone,
            start_date,
            end_date,
            jitter: Duration::ZERO,
            exclude: Vec::new(),
        },
        notes: reader.notes,
        past,
        difference: reader.difference,
    })
}

fn zone(written: &Written, notes: &mut Vec<Note>) -> Result<Tz, Reason> {
    let own = find(&written.keys, "timezone").and_then(text_of);
    let own = own.filter(|name| !name.trim().is_empty());
    let Some(name) = own.or_else(|| written.zone.clone()) else {
        notes.push(Note::new(
            "schedule",
            "V1 named no time zone; its default was UTC",
        ));
        return Ok(Tz::UTC);
    };
    let zone = date::zone(&name).ok_or_else(|| Reason::UnknownZone {
        zone: shown(&name, 60),
    })?;
    if zone.name() != name.trim() {
        notes.push(Note::new(
            "schedule",
            format!("V1 spelled the time zone `{}`", shown(&name, 60)),
        ));
    }
    Ok(zone)
}

impl Reader<'_> {
    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(Note::new("schedule", text));
    }

    fn get(&self, names: &[&str]) -> Option<&Value> {
        let mut names = names.iter();
        names.find_map(|name| find(self.keys, name).filter(|value| !is_blank(value)))
    }

    fn kind(&self) -> Result<Kind, Reason> {
        let Some(kind) = self.get(&["type", "schedule_type"]).and_then(text_of) else {
            let named = |names: &[&str]| self.get(names).is_some();
            return match () {
                () if named(&["cron", "cron_expression"]) => Ok(Kind::Cron),
                () if named(&["interval"]) || self.unit().is_some() => Ok(Kind::Interval),
                () if named(&TIMES[..TIMES.len() - 1]) => Ok(Kind::Once),
                () => Err(Reason::IncompleteSchedule { key: "type" }),
            };
        };
        match kind.trim().to_lowercase().as_str() {
            "cron" => Ok(Kind::Cron),
            "interval" => Ok(Kind::Interval),
            "date" | "once" | "one_time" | "onetime" => Ok(Kind::Once),
            _ => Err(Reason::UnknownSchedule {
                found: shown(&kind, 60),
            }),
        }
    }

    fn cron(&mut self) -> Result<Trigger, Reason> {
        let found = self.get(&["cron", "expression", "cron_expression"]);
        let text = found
            .and_then(text_of)
            .ok_or(Reason::IncompleteSchedule { key: "cron" })?;
        let read = cron::read(&text, self.options.weekdays)?;
        read.notes.into_iter().for_each(|note| self.note(note));
        if let Some((sunday_expression, monday_expression)) = read.readings {
            self.difference = Some(WeekdayDifference {
                timezone: self.zone,
                under_sunday: self.next(&sunday_expression),
                under_monday: self.next(&monday_expression),
                sunday_expression,
                monday_expression,
            });
        }
        Ok(Trigger::Cron(read.text))
    }

    /// The next instants of an expression, by V2's own planner.
    fn next(&self, expression: &str) -> Vec<DateTime<Utc>> {
        let schedule = Schedule {
            trigger: Trigger::Cron(expression.to_owned()),
            timezone: self.zone,
            start_date: None,
            end_date: None,
            jitter: Duration::ZERO,
            exclude: Vec::new(),
        };
        let plan = Plan::new(&[schedule], b"", self.options.now, &Calendars::new());
        let plan = plan
            .iter()
            .flat_map(|plan| plan.after(self.options.now).take(SHOWN));
        plan.map(|firing| firing.nominal).collect()
    }

    fn unit(&self) -> Option<(&'static str, &Value)> {
        let names = [
            ("weeks", "interval_weeks"),
            ("days", "interval_days"),
            ("hours", "interval_hours"),
            ("minutes", "interval_minutes"),
            ("seconds", "interval_seconds"),
        ];
        names
            .iter()
            .find_map(|(unit, name)| Some((*unit, self.get(&[name])?)))
    }

    fn interval(&mut self) -> Result<Duration, Reason> {
        if let Some((unit, count)) = self.unit() {
            return interval::of_unit(unit, count);
        }
        // An empty object is an interval of nothing, not a missing one.
        let found = ["interval", "every", "expression"];
        let found = found.iter().find_map(|name| find(self.keys, name));
        interval::read(found.ok_or(Reason::IncompleteSchedule { key: "interval" })?)
    }

    fn once(&mut self) -> Result<DateTime<Utc>, Reason> {
        let given = TIMES.iter().filter_map(|name| self.get(&[name])).cloned();
        let given: Vec<Value> = given.collect();
        let first = given
            .first()
            .ok_or(Reason::IncompleteSchedule { key: "run_date" })?;
        let dates = given.iter().filter(|value| {
            let text = text_of(value).unwrap_or_default();
            date::read(&text).is_some()
        });
        let dates: Vec<&Value> = dates.collect();
        let at = self.instant(dates.first().unwrap_or(&first))?;
        if let Some(sent) = dates.get(1) {
            let kept = self.notes.len();
            let other = self.instant(sent)?;
            self.notes.truncate(kept);
            if other != at {
                let other = other.to_rfc3339_opts(SecondsFormat::AutoSi, true);
                self.note(format!(
                    "the time that was typed into V1's form counts; its page made {other} of it"
                ));
            }
        }
        if at <= self.options.now {
            self.note("the time has gone by, so the job is disabled");
        }
        Ok(at)
    }

    fn instant(&mut self, value: &Value) -> Result<DateTime<Utc>, Reason> {
        let text = text_of(value).unwrap_or_default();
        let bad = || Reason::BadDate {
            found: shown(&text, 60),
        };
        let found = date::read(&text).ok_or_else(bad)?;
        let (at, shift) = found.within(self.zone).ok_or_else(bad)?;
        match shift {
            Shift::None => {}
            Shift::First => self.note(format!("`{}` comes twice; the first is taken", shown(&text, 60))),
            Shift::AfterGap => self.note(format!(
                "`{}` does not exist, as the clocks are put forward; the first instant after is taken",
                shown(&text, 60)
            )),
        }
        // V1 may have fractions that no schedule means.
        DateTime::from_timestamp(at.timestamp(), 0).ok_or_else(bad)
    }

    fn bounds(&mut self, trigger: &Trigger) -> Result<Bounds, Reason> {
        let mut dates = [None, None];
        let names = [["start_date", "start_time"], ["end_date", "end_time"]];
        for (date, names) in dates.iter_mut().zip(names) {
            if let Some(value) = self.get(&names).cloned() {
                *date = Some(self.instant(&value)?);
            }
        }
        let [start, end] = dates;
        if matches!(trigger, Trigger::Once(_)) {
            // V1 heeded no bounds of a single time.
            return Ok((None, None));
        }
        match (start, end) {
            (Some(start), Some(end)) if end <= start => Err(Reason::EndBeforeStart),
            bounds => Ok(bounds),
        }
    }
}
