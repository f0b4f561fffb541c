//! The instants of one trigger in order, by Debian cron's rule where clocks
//! change. Never knows bounds, jitter or calendars.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::firing::{Reason, Swallowed};
use super::matches::Matches;
use super::zone::{self, Named};
use crate::cron::CronError;
use crate::schedule::Trigger;

/// How many changes of the clocks one search goes past. No zone has as many.
const MOST_CHANGES: u32 = 1000;
/// The most local times of a gap that are counted.
const MOST_SWALLOWED: u32 = 1000;
/// The most of them that are named.
const MOST_NAMED: usize = 3;
/// Clocks were never put back by more, in hours. (Kwajalein, Manila and Alaska
/// changed sides of the date line: a day.)
const LONGEST_FOLD: i64 = 26;

/// What a trigger comes to.
#[derive(Debug, Clone)]
pub(super) enum Timetable {
    /// A cron expression, in its zone.
    Cron(Box<Matches>, Tz),
    /// Every so many nanoseconds from an anchor, which may be an instant itself.
    Every {
        anchor: DateTime<Utc>,
        every: i128,
        anchor_fires: bool,
    },
    /// One instant.
    Once(DateTime<Utc>),
}

/// An instant, and what is special about it.
pub(super) type Instant = (DateTime<Utc>, Option<Reason>);

impl Timetable {
    /// Reads a trigger. An interval counts from `start`, which is its first
    /// instant, else from `anchor`, which is none.
    pub(super) fn new(
        trigger: &Trigger,
        zone: Tz,
        start: Option<DateTime<Utc>>,
        anchor: DateTime<Utc>,
    ) -> Result<Self, CronError> {
        Ok(match trigger {
            Trigger::Cron(expression) => Self::Cron(Box::new(Matches::new(expression)?), zone),
            Trigger::Interval(every) => Self::Every {
                anchor: start.unwrap_or(anchor),
                // A second is the least that can be written; no time between
                // two instants at all would be an endless search.
                every: i128::try_from(every.as_nanos()).unwrap_or(i128::MAX).max(1),
                anchor_fires: start.is_some(),
            },
            Trigger::Once(at) => Self::Once(*at),
        })
    }

    /// The first instant after `after`.
    pub(super) fn after(&self, after: DateTime<Utc>) -> Option<Instant> {
        match self {
            Self::Cron(matches, zone) => {
                // Matches have whole seconds, so what is after this second is
                // after the instant.
                let after = DateTime::from_timestamp(after.timestamp(), 0)?;
                if matches.elapsed {
                    elapsed(matches, *zone, after)
                } else {
                    fixed(matches, *zone, after)
                }
            }
            Self::Every {
                anchor,
                every,
                anchor_fires,
            } => multiple(*anchor, *every, *anchor_fires, after).map(|at| (at, None)),
            Self::Once(at) => (*at > after).then_some((*at, None)),
        }
    }
}

fn nanoseconds(at: DateTime<Utc>) -> i128 {
    i128::from(at.timestamp()) * 1_000_000_000 + i128::from(at.timestamp_subsec_nanos())
}

fn multiple(
    anchor: DateTime<Utc>,
    every: i128,
    anchor_fires: bool,
    after: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let start = nanoseconds(anchor);
    let least = i128::from(!anchor_fires);
    let elapsed = nanoseconds(after) - start;
    let count = (elapsed.div_euclid(every) + 1).max(least);
    let at = start.checked_add(count.checked_mul(every)?)?;
    let seconds = i64::try_from(at.div_euclid(1_000_000_000)).ok()?;
    let rest = u32::try_from(at.rem_euclid(1_000_000_000)).ok()?;
    DateTime::from_timestamp(seconds, rest)
}

/// Each instant whose local time matches: both passes of a fold, nothing in a
/// gap.
fn elapsed(matches: &Matches, zone: Tz, after: DateTime<Utc>) -> Option<Instant> {
    let mut from = after;
    let mut wanted = matches.after(zone::local(zone, from)?)?;
    for _ in 0..MOST_CHANGES {
        let at = wanted
            .and_utc()
            .checked_sub_signed(zone::offset(zone, from))?;
        // A fold can bring back local times that are past only as far ahead as
        // the longest fold; beyond that only the wanted time counts.
        let near = at.min(from.checked_add_signed(TimeDelta::hours(LONGEST_FOLD))?);
        let change = match zone::change_within(zone, from, near) {
            Some(change) => change,
            None if near == at => return Some((at, second_pass(zone, wanted, at))),
            None => match zone::named(zone, wanted)? {
                Named::Once(at) | Named::Twice(at, _) => return Some((at, None)),
                Named::Never(change) => change,
            },
        };
        from = change;
        wanted = matches.from(zone::local(zone, change)?)?;
        // The change itself may be the instant.
        if zone::local(zone, change) == Some(wanted) {
            return Some((change, second_pass(zone, wanted, change)));
        }
    }
    None
}

fn second_pass(zone: Tz, local: NaiveDateTime, at: DateTime<Utc>) -> Option<Reason> {
    match zone::named(zone, local)? {
        Named::Twice(first, _) if first < at => Some(Reason::SecondPass),
        _ => None,
    }
}

/// Each local time once: in a gap at the first instant after it, in a fold at
/// the first of the two. What a local time comes to never decreases as it
/// grows, so the first match after the present local time is the next.
fn fixed(matches: &Matches, zone: Tz, after: DateTime<Utc>) -> Option<Instant> {
    let local = zone::local(zone, after)?;
    let wanted = match zone::named(zone, local)? {
        // In the second pass all local times of the fold are done with.
        Named::Twice(first, _) if first < after => {
            matches.from(end_of_fold(zone, first, after)?)?
        }
        _ => matches.after(local)?,
    };
    match zone::named(zone, wanted)? {
        Named::Once(at) => Some((at, None)),
        Named::Twice(first, _) => Some((first, Some(Reason::Fold { local: wanted }))),
        Named::Never(change) => Some((change, Some(gap(matches, zone, wanted, change)?))),
    }
}

/// The first local time that comes once again.
fn end_of_fold(zone: Tz, first: DateTime<Utc>, second: DateTime<Utc>) -> Option<NaiveDateTime> {
    let change = zone::change_within(zone, first, second)?;
    change
        .naive_utc()
        .checked_add_signed(zone::offset(zone, first))
}

/// What a gap swallowed, from the first of it.
fn gap(matches: &Matches, zone: Tz, first: NaiveDateTime, change: DateTime<Utc>) -> Option<Reason> {
    let end = zone::local(zone, change)?;
    let mut swallowed = Swallowed::default();
    let mut next = Some(first);
    while let Some(local) = next.filter(|local| *local < end) {
        swallowed.count += 1;
        if swallowed.local_times.len() < MOST_NAMED {
            swallowed.local_times.push(local);
        }
        if swallowed.count == MOST_SWALLOWED {
            break;
        }
        next = matches.after(local);
    }
    Some(Reason::Gap(swallowed))
}
