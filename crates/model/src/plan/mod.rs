//! The arithmetic of schedules: when a job fires next, in which order, and
//! which firings were missed. Pure: never asks what time it is, never waits,
//! never loops without a bound.
//!
//! # Clock changes
//! Debian cron's rule. An expression whose minute or hour begins with `*`
//! follows elapsed time: it fires at every instant whose local time matches,
//! in both passes where clocks are put back, and not for what they skip. Every
//! other expression is a set of fixed local times, and fires once for each: in
//! a gap at the first instant after it, once however many the gap swallowed; in
//! a fold at the first of the two.
//!
//! # Bounds
//! Nothing is planned before 1900 and after 2500. Excluded firings are skipped
//! up to 100,000 (a span of them counts once). The embedded zone database knows
//! changes up to 2099; the last offset holds from then on.
//!
//! # Order
//! A firing is named by its nominal instant, and ordered by when it is due. A
//! job has one firing for a nominal instant, whichever of its schedules name
//! it: the one due first. Two that are due in the same instant are one.

mod calendar;
mod catch_up;
mod firing;
mod forecast;
mod jitter;
mod line;
mod matches;
mod series;
mod timetable;
mod zone;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

pub use calendar::{Calendar, Calendars, Window, WindowError};
pub use catch_up::Missed;
pub use firing::{Firing, NoFiring, Reason, Swallowed};
pub use forecast::{Outage, OutageError, Span};
use line::Line;
pub(crate) use matches::Matches;
pub use series::Firings;
pub(crate) use zone::{Named, change_within, local, named};

use crate::cron::CronError;
use crate::schedule::Schedule;

/// The last year in which anything fires.
const LAST_YEAR: i32 = 2500;
const FIRST: DateTime<Utc> = new_year(1900);
const LAST: DateTime<Utc> = new_year(LAST_YEAR + 1);

const fn new_year(year: i32) -> DateTime<Utc> {
    match NaiveDate::from_ymd_opt(year, 1, 1) {
        Some(date) => NaiveDateTime::new(date, NaiveTime::MIN).and_utc(),
        None => DateTime::UNIX_EPOCH,
    }
}

/// The version of the zone database in this program, such as `2025b`.
#[must_use]
pub const fn zone_database_version() -> &'static str {
    chrono_tz::IANA_TZDB_VERSION
}

/// Schedules that can't be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A cron expression can't be used.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// A schedule names a calendar that is not there.
    #[error("the calendar `{name}` is not known")]
    UnknownCalendar {
        /// Its name.
        name: String,
    },
}

/// All schedules of a job, ready for searches.
#[derive(Debug, Clone)]
pub struct Plan {
    lines: Vec<Line>,
}

impl Plan {
    /// Makes the plan of a job. `seed` is what sets its jitter apart from that
    /// of other jobs, such as its key; an interval without a start counts from
    /// `anchor`, which is when the job was created, and first fires one
    /// interval after it.
    ///
    /// # Errors
    /// When an expression can't be used or a calendar is not known.
    pub fn new(
        schedules: &[Schedule],
        seed: &[u8],
        anchor: DateTime<Utc>,
        calendars: &Calendars,
    ) -> Result<Self, PlanError> {
        let hash = jitter::hash(seed);
        let lines = schedules.iter().enumerate();
        let lines = lines
            .map(|(index, schedule)| Line::new(index, schedule, hash, anchor, calendars))
            .collect::<Result<_, _>>()?;
        Ok(Self { lines })
    }

    /// The first firing that is due after `after`.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<Firing> {
        self.after(after).next()
    }

    /// The same, or why there is none.
    ///
    /// # Errors
    /// When no schedule fires any more; that they are excluded is told before
    /// that they ended.
    pub fn search_after(&self, after: DateTime<Utc>) -> Result<Firing, NoFiring> {
        if let Some(firing) = self.next_after(after) {
            return Ok(firing);
        }
        let lines = self.lines.iter();
        let mut reasons = lines.filter_map(|line| line.due_after(after).err());
        Err(reasons
            .find(|reason| *reason != NoFiring::Ended)
            .unwrap_or(NoFiring::Ended))
    }

    /// All firings that are due after `after`, in order.
    #[must_use]
    pub fn after(&self, after: DateTime<Utc>) -> Firings<'_> {
        Firings::new(&self.lines, after, DateTime::<Utc>::MAX_UTC, false)
    }

    /// The firings that are due after `after` and not after `until`, in order.
    #[must_use]
    pub fn between(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Firings<'_> {
        Firings::new(&self.lines, after, until, false)
    }

    /// The same with those that calendars exclude, which say so in their
    /// reasons.
    #[must_use]
    pub fn between_with_excluded(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Firings<'_> {
        Firings::new(&self.lines, after, until, true)
    }
}

/// A local year in UTC: just before its first instant, and just before that of
/// the next.
pub(crate) fn year(zone: Tz, year: i32) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let edge = |year: i32| {
        let start = NaiveDate::from_ymd_opt(year, 1, 1)?.and_time(NaiveTime::MIN);
        let at = match named(zone, start)? {
            Named::Once(at) | Named::Twice(at, _) | Named::Never(at) => at,
        };
        at.checked_sub_signed(TimeDelta::nanoseconds(1))
    };
    Some((edge(year)?, edge(year.checked_add(1)?)?))
}
