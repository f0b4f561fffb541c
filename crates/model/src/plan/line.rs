//! One schedule made ready for searches: its instants within its bounds, with
//! jitter, and without those that calendars exclude. Never knows the job's
//! other schedules.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::calendar::{Calendar, Calendars};
use super::firing::{Firing, NoFiring, Reason};
use super::timetable::Timetable;
use super::zone::{self, Named};
use super::{LAST, PlanError, jitter};
use crate::schedule::Schedule;

/// How many excluded firings, or spans of them, one search skips.
const MOST_SKIPPED: u32 = 100_000;

#[derive(Debug, Clone)]
pub(super) struct Line {
    index: usize,
    timetable: Timetable,
    zone: Tz,
    start: Option<DateTime<Utc>>,
    end: DateTime<Utc>,
    /// The job's jitter in milliseconds.
    pub(super) jitter: u64,
    calendars: Vec<(String, Arc<Calendar>)>,
}

impl Line {
    pub(super) fn new(
        index: usize,
        schedule: &Schedule,
        hash: u64,
        anchor: DateTime<Utc>,
        known: &Calendars,
    ) -> Result<Self, PlanError> {
        let (zone, start) = (schedule.timezone, schedule.start_date);
        let timetable = Timetable::new(&schedule.trigger, zone, start, anchor);
        let calendar = |name: &String| {
            let found = known.get(name).cloned();
            found
                .map(|calendar| (name.clone(), calendar))
                .ok_or_else(|| PlanError::UnknownCalendar { name: name.clone() })
        };
        Ok(Self {
            index,
            timetable: timetable?,
            zone,
            start,
            end: schedule.end_date.unwrap_or(LAST).min(LAST),
            jitter: jitter::offset(hash, schedule.jitter),
            calendars: schedule
                .exclude
                .iter()
                .map(calendar)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The first firing that is due after `after`, be it an excluded one.
    pub(super) fn any_due_after(&self, after: DateTime<Utc>) -> Option<Firing> {
        self.any_after(self.undelayed(after))
    }

    /// The first firing that is due after `after` and takes place.
    pub(super) fn due_after(&self, after: DateTime<Utc>) -> Result<Firing, NoFiring> {
        let mut after = self.undelayed(after);
        let mut ended = NoFiring::Ended;
        for skipped in 1..=MOST_SKIPPED {
            let Some(firing) = self.any_after(after) else {
                return Err(ended);
            };
            let Some(calendar) = firing.excluded_by() else {
                return Ok(firing);
            };
            after = self.skip(&firing);
            ended = NoFiring::Excluded {
                calendar: calendar.to_owned(),
                skipped,
            };
        }
        Err(ended)
    }

    /// Whether a firing with this nominal instant takes place.
    pub(super) fn fires_at(&self, nominal: DateTime<Utc>) -> bool {
        let before = nominal.checked_sub_signed(TimeDelta::nanoseconds(1));
        let found = before.and_then(|before| self.any_after(before));
        found.is_some_and(|firing| firing.nominal == nominal && firing.excluded_by().is_none())
    }

    /// The instant whose firing would be due at `due`.
    fn undelayed(&self, due: DateTime<Utc>) -> DateTime<Utc> {
        due.checked_sub_signed(self.offset())
            .unwrap_or(super::FIRST)
    }

    fn offset(&self) -> TimeDelta {
        TimeDelta::milliseconds(i64::try_from(self.jitter).unwrap_or(0))
    }

    fn any_after(&self, after: DateTime<Utc>) -> Option<Firing> {
        let before_start = self
            .start
            .and_then(|start| start.checked_sub_signed(TimeDelta::nanoseconds(1)));
        let after = before_start
            .map_or(after, |start| after.max(start))
            .max(super::FIRST);
        let (nominal, shift) = self.timetable.after(after)?;
        if nominal > self.end {
            return None;
        }
        let mut reasons = Vec::new();
        reasons.extend(shift);
        if self.jitter > 0 {
            reasons.push(Reason::Jitter {
                milliseconds: self.jitter,
            });
        }
        reasons.extend(self.blackout(nominal));
        Some(Firing {
            nominal,
            due: nominal.checked_add_signed(self.offset())?,
            schedule: self.index,
            zone: self.zone,
            reasons,
        })
    }

    fn blackout(&self, nominal: DateTime<Utc>) -> Option<Reason> {
        if self.calendars.is_empty() {
            return None;
        }
        let local = zone::local(self.zone, nominal)?;
        let mut calendars = self.calendars.iter();
        let found = calendars.find(|(_, calendar)| calendar.excluded_until(local).is_some());
        found.map(|(name, _)| Reason::Blackout {
            calendar: name.clone(),
        })
    }

    /// The instant to go on after: just before what excludes a firing ends, or
    /// the firing where clocks are put back in between.
    fn skip(&self, firing: &Firing) -> DateTime<Utc> {
        let end = zone::local(self.zone, firing.nominal).and_then(|local| {
            let ends = self.calendars.iter();
            let end = ends
                .filter_map(|(_, calendar)| calendar.excluded_until(local))
                .max()?;
            let end = match zone::named(self.zone, end)? {
                Named::Once(at) | Named::Twice(at, _) | Named::Never(at) => at,
            };
            end.checked_sub_signed(TimeDelta::nanoseconds(1))
        });
        end.map_or(firing.nominal, |end| end.max(firing.nominal))
    }
}
