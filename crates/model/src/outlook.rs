//! What a job's schedules will come to, told while the job is read: clock
//! changes that they meet, and how often they fire in a year. Never asks what
//! time it is.

use chrono::{DateTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::fields::{Fields, Taken};
use crate::plan::{self, Calendars, Matches, Plan};
use crate::reader::Context;
use crate::schedule::{Schedule, Trigger};
use crate::spec::ExpectFirings;
use crate::tree::Kind;

/// The most years that a job may count.
const MOST_YEARS: usize = 5;
/// The most firings of a year that are counted: every five minutes fits.
const MOST_COUNTED: u32 = 120_000;
/// The most firings that a hint names.
const MOST_NAMED: usize = 3;
/// Warnings look so far ahead, in days: each yearly change once.
const AHEAD: i64 = 370;

/// Warns when fixed local times of a schedule are skipped, or come twice, at
/// the next change of its zone's clocks.
pub(crate) fn warn_of_clock_changes(taken: &Taken<'_>, schedule: &Schedule, context: &Context<'_>) {
    let Trigger::Cron(expression) = &schedule.trigger else {
        return;
    };
    if context.stored {
        return;
    }
    let Ok(matches) = Matches::new(expression) else {
        return;
    };
    if matches.elapsed {
        return;
    }
    if let Some(message) = next_change(&matches, schedule.timezone, start(schedule, context)) {
        let hint =
            "each fires once all the same; take another time, or `timezone: UTC`, if that matters";
        let place = taken.node.place;
        let hint = Some(hint.to_owned());
        taken
            .notes
            .warning("clock_change", &taken.pointer, place, message, hint);
    }
}

/// From when on warnings look ahead.
fn start(schedule: &Schedule, context: &Context<'_>) -> DateTime<Utc> {
    let version = plan::zone_database_version();
    let year = version.get(..4).and_then(|year| year.parse::<i32>().ok());
    let year = year.and_then(|year| Utc.with_ymd_and_hms(year + 1, 1, 1, 0, 0, 0).single());
    let now = context.now.or(year).unwrap_or(DateTime::UNIX_EPOCH);
    schedule.start_date.map_or(now, |start| start.max(now))
}

fn next_change(matches: &Matches, zone: Tz, start: DateTime<Utc>) -> Option<String> {
    let start = DateTime::from_timestamp(start.timestamp(), 0)?;
    let end = start.checked_add_signed(TimeDelta::days(AHEAD))?;
    let (mut from, mut told) = (start, Vec::new());
    while let Some(change) = plan::change_within(zone, from, end) {
        let second = TimeDelta::seconds(1);
        let old =
            plan::local(zone, change.checked_sub_signed(second)?)?.checked_add_signed(second)?;
        let new = plan::local(zone, change)?;
        let (first, last, what) = if new > old {
            (old, new, "does not exist")
        } else {
            (new, old, "comes twice")
        };
        let met = matches.from(first).filter(|local| *local < last);
        if let Some(local) = met.filter(|_| told.iter().all(|(_, other)| *other != what)) {
            told.push((local.format("%Y-%m-%d %H:%M"), what));
        }
        from = change;
    }
    let told: Vec<String> = told
        .iter()
        .map(|(at, what)| format!("{at} {what}"))
        .collect();
    (!told.is_empty()).then(|| {
        let told = told.join(", and ");
        format!("the clocks of {zone} change at a time of this schedule: {told}")
    })
}

/// Reads how often a job is to fire in some years, and checks it.
pub(crate) fn expected(
    fields: &mut Fields<'_>,
    schedules: &[Schedule],
    context: &Context<'_>,
) -> Vec<ExpectFirings> {
    let Some(taken) = fields.take("expectFirings", &[]) else {
        return Vec::new();
    };
    let items = match &taken.node.kind {
        Kind::List(_) => taken.list_of_at_most(MOST_YEARS),
        _ => vec![taken.clone()],
    };
    let read: Vec<_> = items
        .iter()
        .filter_map(|item| Some((read(item)?, item)))
        .collect();
    if context.stored || fields.notes.has_errors_below("/schedule") {
        // It was checked before, or the schedules are wrong.
    } else if let Some(reason) = unchecked(schedules, context) {
        unchecked_warning(
            &taken,
            format!("`{}` can't be checked: {reason}", taken.key),
        );
    } else {
        read.iter()
            .for_each(|(expected, item)| check(*expected, item, schedules, context));
    }
    read.into_iter().map(|(expected, _)| expected).collect()
}

fn read(item: &Taken<'_>) -> Option<ExpectFirings> {
    let mut fields = Fields::of(item)?;
    let year = fields.require("year", &[]);
    let count = fields.require("count", &[]);
    fields.refuse_rest();
    let year = year.and_then(|taken| taken.integer(1970, 2100));
    let count = count.and_then(|taken| taken.count(0, MOST_COUNTED));
    Some(ExpectFirings {
        year: year?,
        count: count?,
    })
}

/// Why the firings can't be counted before the job is stored.
fn unchecked(schedules: &[Schedule], context: &Context<'_>) -> Option<&'static str> {
    let mut excluding = schedules.iter().filter(|one| !one.exclude.is_empty());
    if context.calendars.is_none() && excluding.next().is_some() {
        return Some("the calendars of `exclude` are not known here");
    }
    let open =
        |one: &Schedule| matches!(one.trigger, Trigger::Interval(_)) && one.start_date.is_none();
    schedules
        .iter()
        .any(open)
        .then_some("an interval without `startDate` counts from when the job is stored")
}

fn unchecked_warning(taken: &Taken<'_>, message: String) {
    let place = taken.node.place;
    taken
        .notes
        .warning("unchecked", &taken.pointer, place, message, None);
}

fn check(expected: ExpectFirings, item: &Taken<'_>, schedules: &[Schedule], context: &Context<'_>) {
    let none = Calendars::new();
    let calendars = context.calendars.unwrap_or(&none);
    // Nominal instants count, whatever jitter makes of them.
    let nominal: Vec<Schedule> = schedules
        .iter()
        .map(|one| Schedule {
            jitter: std::time::Duration::ZERO,
            ..one.clone()
        })
        .collect();
    let Ok(plan) = Plan::new(&nominal, b"", DateTime::UNIX_EPOCH, calendars) else {
        return;
    };
    let zone = schedules.first().map_or(Tz::UTC, |one| one.timezone);
    let Some((start, end)) = plan::year(zone, expected.year) else {
        return;
    };
    let firings = plan.between(start, end);
    // Each firing costs a search of each schedule.
    let most = 2 * MOST_COUNTED as usize / schedules.len().max(2);
    let (found, wanted) = (
        firings.clone().take(most + 1).count(),
        expected.count as usize,
    );
    if found == wanted {
        return;
    }
    if found > most && wanted > most {
        let message = format!("there are more than {most} firings, which are not counted");
        return unchecked_warning(item, message);
    }
    let message = wrong_count(expected, found, most, zone);
    let first: Vec<String> = firings
        .take(MOST_NAMED)
        .map(|firing| firing.local().to_rfc3339_opts(SecondsFormat::AutoSi, true))
        .collect();
    let hint = (!first.is_empty()).then(|| format!("the first are {}", first.join(", ")));
    item.wrong("unexpected_firings", message, hint.as_deref());
}

fn wrong_count(expected: ExpectFirings, found: usize, most: usize, zone: Tz) -> String {
    let times = match found {
        1 => "once".to_owned(),
        found if found > most => format!("more than {most} times"),
        found => format!("{found} times"),
    };
    format!(
        "the job fires {times} in {} ({zone}), not {}",
        expected.year, expected.count
    )
}
