//! Jobs of every kind, with the instants at which each is to fire worked out
//! from what it is, by going through the days: nothing here asks the planner or
//! reads a cron expression.

use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike,
    Utc,
};
use chrono_tz::Tz;

use jobcell_model::RunState;

use super::checker::Rules;
use super::random::Random;

/// Zones of every odd sort: half an hour, a shift at midnight, none, a shift of
/// half an hour, negative daylight saving, the southern half.
const ZONES: [Tz; 12] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::America__Santiago,
    Tz::Europe__Dublin,
    Tz::Asia__Kathmandu,
    Tz::Africa__Casablanca,
    Tz::America__Havana,
    Tz::Pacific__Chatham,
    Tz::Africa__Cairo,
    Tz::Asia__Beirut,
];
/// Times around which clocks change, and others.
const TIMES: [(u32, u32); 8] = [
    (0, 0),
    (0, 30),
    (1, 30),
    (2, 0),
    (2, 30),
    (3, 0),
    (12, 0),
    (23, 45),
];

/// What becomes of firings for which no server was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CatchUp {
    None,
    Latest(TimeDelta),
    All(TimeDelta),
}

#[derive(Debug, Clone)]
enum OnDays {
    Each,
    Weekday(u32),
    OfMonth(u32),
    OfYear(u32, u32),
}

#[derive(Debug, Clone)]
enum What {
    /// Once on each of these days, at a local time.
    Fixed {
        days: OnDays,
        time: (u32, u32),
    },
    /// In every so many hours of local time, as elapsed time goes.
    Elapsed {
        hours: u32,
    },
    Interval {
        every: TimeDelta,
        start: Option<DateTime<Utc>>,
    },
    Once(DateTime<Utc>),
}

/// A job, and all that its firings follow from.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    what: What,
    zone: Tz,
    jitter: TimeDelta,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    holidays: bool,
    catch_up: CatchUp,
}

impl Kind {
    pub(super) fn random(random: &mut Random, start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        let what = what(random, start, end);
        let length = end - start;
        let somewhere = |random: &mut Random| start + length * random.below(1000) / 1000;
        // What fires often does so for a while only, or there is no end of it.
        let often = matches!(
            &what,
            What::Elapsed { .. }
                | What::Fixed {
                    days: OnDays::Each,
                    ..
                }
        );
        let from = (often || random.one_in(6)).then(|| somewhere(random));
        let until = match from {
            Some(from) if often => Some(from + TimeDelta::days(100)),
            _ => random
                .one_in(8)
                .then(|| somewhere(random).max(start + TimeDelta::days(30))),
        };
        let cron = matches!(&what, What::Elapsed { .. } | What::Fixed { .. });
        let (from, until) = if cron { (from, until) } else { (None, None) };
        Self {
            zone: ZONES[random.below(12) as usize],
            jitter: match random.below(6) {
                0 => TimeDelta::minutes(10),
                _ => TimeDelta::zero(),
            },
            from,
            until: until.filter(|until| from.is_none_or(|from| *until > from)),
            holidays: cron && random.one_in(4),
            catch_up: match random.below(4) {
                0 => CatchUp::None,
                1 => CatchUp::All(TimeDelta::days(5)),
                2 => CatchUp::Latest(TimeDelta::hours(12)),
                _ => CatchUp::Latest(TimeDelta::hours(1)),
            },
            what,
        }
    }

    /// What its runs are held against.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            jitter: self.jitter,
            catch_up: self.catch_up,
            ends: &[RunState::Success],
        }
    }

    /// The job's YAML.
    pub(super) fn yaml(&self, key: &str) -> String {
        let bound = |name: &str, at: Option<DateTime<Utc>>| {
            at.map_or_else(String::new, |at| {
                format!(", {name}: \"{}\"", at.to_rfc3339())
            })
        };
        let trigger = match &self.what {
            What::Fixed {
                days,
                time: (hour, minute),
            } => {
                let days = match days {
                    OnDays::Each => "* * *".to_owned(),
                    OnDays::Weekday(day) => format!("* * {day}"),
                    OnDays::OfMonth(day) => format!("{day} * *"),
                    OnDays::OfYear(month, day) => format!("{day} {month} *"),
                };
                format!("type: cron, expression: \"{minute} {hour} {days}\"")
            }
            What::Elapsed { hours } => format!("type: cron, expression: \"0 */{hours} * * *\""),
            What::Interval { every, start } => {
                let start = bound("startDate", *start);
                format!("type: interval, every: {}s{start}", every.num_seconds())
            }
            What::Once(at) => format!("type: once, at: \"{}\"", at.to_rfc3339()),
        };
        let (from, until) = (bound("startDate", self.from), bound("endDate", self.until));
        let exclude = if self.holidays {
            ", exclude: [holidays]"
        } else {
            ""
        };
        let catch_up = match self.catch_up {
            CatchUp::None => "{policy: none}".to_owned(),
            CatchUp::Latest(window) => {
                format!("{{policy: latest, window: {}s}}", window.num_seconds())
            }
            CatchUp::All(window) => {
                format!(
                    "{{policy: all, window: {}s, max: 1000}}",
                    window.num_seconds()
                )
            }
        };
        format!(
            "id: {key}\nname: Job\ntype: Hostile\ndo: nothing\n\
             schedule: {{{trigger}, timezone: {}{from}{until}{exclude}, jitter: {}s}}\n\
             catchUp: {catch_up}\nconcurrency: {{policy: allow}}\n",
            self.zone.name(),
            self.jitter.num_seconds(),
        )
    }

    /// The instants at which it is to fire after the start and not after the
    /// end, whatever its jitter makes of them.
    pub(super) fn expected(&self, start: DateTime<Utc>, end: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let all = match &self.what {
            What::Fixed { days, time } => self.fixed(days, *time, start, end),
            What::Elapsed { hours } => self.elapsed(*hours, start, end),
            What::Interval {
                every,
                start: anchor,
            } => {
                let first = anchor.unwrap_or(start + *every);
                let count = (end - first).num_seconds() / every.num_seconds();
                let steps = (0..=count).filter_map(|step| i32::try_from(step).ok());
                steps.map(|step| first + *every * step).collect()
            }
            What::Once(at) => BTreeSet::from([*at]),
        };
        let within = |at: &DateTime<Utc>| {
            *at > start
                && *at <= end
                && self.from.is_none_or(|from| *at >= from)
                && self.until.is_none_or(|until| *at <= until)
        };
        all.into_iter().filter(within).collect()
    }

    fn fixed(
        &self,
        days: &OnDays,
        (hour, minute): (u32, u32),
        start: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> BTreeSet<DateTime<Utc>> {
        let time = NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
        let first = start.date_naive() - Days::new(2);
        first
            .iter_days()
            .take_while(|date| *date <= end.date_naive() + Days::new(2))
            .filter(|date| on(days, *date) && !self.is_holiday(*date))
            .map(|date| first_instant(self.zone, date.and_time(time)))
            .collect()
    }

    fn elapsed(
        &self,
        hours: u32,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> BTreeSet<DateTime<Utc>> {
        let from = self.from.unwrap_or(start).max(start) - TimeDelta::days(1);
        let until = self.until.unwrap_or(end).min(end);
        let from = from.date_naive().and_time(NaiveTime::MIN).and_utc();
        let mut found = BTreeSet::new();
        let mut at = from;
        // No zone is off by less than a quarter of an hour here.
        while at <= until {
            let local = at.with_timezone(&self.zone).naive_local();
            if local.minute() == 0
                && local.hour().is_multiple_of(hours)
                && !self.is_holiday(local.date())
            {
                found.insert(at);
            }
            at += TimeDelta::minutes(15);
        }
        found
    }

    fn is_holiday(&self, date: NaiveDate) -> bool {
        self.holidays && holidays().contains(&date)
    }
}

fn what(random: &mut Random, start: DateTime<Utc>, end: DateTime<Utc>) -> What {
    let time = TIMES[random.below(8) as usize];
    let days = |days| What::Fixed { days, time };
    match random.below(100) {
        0..3 => days(OnDays::Each),
        3..4 => What::Elapsed {
            hours: [2, 6][random.below(2) as usize],
        },
        4..8 => days(OnDays::Weekday(random.below(7) as u32)),
        8..35 => days(OnDays::OfMonth(
            [1, 15, 28, 29, 30, 31][random.below(6) as usize],
        )),
        35..70 => {
            // Twenty-ninths of February among them.
            let (month, day) =
                [(1, 1), (2, 29), (3, 28), (6, 30), (10, 25), (12, 31)][random.below(6) as usize];
            days(OnDays::OfYear(month, day))
        }
        70..85 => What::Interval {
            every: TimeDelta::hours(24 * 17) * (1 + random.below(9)),
            start: random
                .one_in(2)
                .then(|| start + TimeDelta::days(random.below(400).into())),
        },
        _ => {
            let after = (end - start) * random.below(1000) / 1000;
            What::Once(start + after + TimeDelta::hours(1))
        }
    }
}

/// The days of the calendar.
pub(super) fn holidays() -> BTreeSet<NaiveDate> {
    let year = |year| {
        [(1, 1), (10, 25), (12, 31)].map(|(month, day)| NaiveDate::from_ymd_opt(year, month, day))
    };
    (2026..2040).flat_map(year).flatten().collect()
}

fn on(days: &OnDays, date: NaiveDate) -> bool {
    match days {
        OnDays::Each => true,
        OnDays::Weekday(day) => date.weekday().num_days_from_sunday() == *day,
        OnDays::OfMonth(day) => date.day() == *day,
        OnDays::OfYear(month, day) => date.month() == *month && date.day() == *day,
    }
}

/// The first instant of a local time; where clocks are put forward over it, the
/// first instant after that.
fn first_instant(zone: Tz, mut local: NaiveDateTime) -> DateTime<Utc> {
    loop {
        if let Some(at) = zone.from_local_datetime(&local).earliest() {
            return at.to_utc();
        }
        local += TimeDelta::minutes(1);
    }
}
