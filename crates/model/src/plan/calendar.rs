//! Named calendars: local dates and hours in which nothing fires. Never knows
//! a zone; whoever asks does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wording::shown;

/// Calendars by name.
pub type Calendars = BTreeMap<String, Arc<Calendar>>;

/// When nothing fires, in the local time of the schedule that names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calendar {
    /// Whole days.
    #[serde(deserialize_with = "dates")]
    pub dates: BTreeSet<NaiveDate>,
    /// Spans of hours.
    pub windows: Vec<Window>,
}

/// A span in which nothing fires, its end left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// From one local time to another: `2027-12-24T12:00/2027-12-27T06:00`.
    Span {
        /// Its first moment.
        from: NaiveDateTime,
        /// The first moment after it.
        until: NaiveDateTime,
    },
    /// Each week: `SAT 22:00-06:00`, `MON-FRI 09:00-17:00`, `* 00:00-04:00`.
    Weekly {
        /// On these days, Monday first.
        days: [bool; 7],
        /// Its first moment.
        from: NaiveTime,
        /// The first moment after it; not after `from` it is one of the next day.
        until: NaiveTime,
    },
}

/// A text that is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no window; write `SAT 22:00-06:00` or `2027-12-24T12:00/2027-12-27T06:00`")]
pub struct WindowError {
    /// What was given, cut short where it is long.
    pub text: String,
}

impl Calendar {
    /// The end of what excludes a local time; none when nothing does.
    #[must_use]
    pub fn excluded_until(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let day = self.dates.contains(&local.date());
        let day = day.then(|| midnight_after(local.date())).flatten();
        let windows = self.windows.iter().filter_map(|window| window.end(local));
        windows.chain(day).max()
    }
}

impl Window {
    /// Its end, when a local time lies in it.
    fn end(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::Span { from, until } => (*from <= local && local < *until).then_some(*until),
            Self::Weekly { days, from, until } => {
                let length = match until.signed_duration_since(*from) {
                    length if length > TimeDelta::zero() => length,
                    length => length + TimeDelta::days(1),
                };
                // One that began yesterday may reach into today.
                let began = [Some(local.date()), local.date().pred_opt()];
                began.into_iter().flatten().find_map(|date| {
                    let weekday = date.weekday().num_days_from_monday() as usize;
                    let start = date.and_time(*from);
                    let end = start.checked_add_signed(length)?;
                    (days.get(weekday) == Some(&true) && start <= local && local < end)
                        .then_some(end)
                })
            }
        }
    }
}

/// Reads dates, with an error that says how one is written.
fn dates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<NaiveDate>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let date = |text: &String| {
        text.trim().parse().map_err(|_| {
            let text = shown(text);
            serde::de::Error::custom(format!("`{text}` is no date; write `2027-12-24`"))
        })
    };
    texts.iter().map(date).collect()
}

fn midnight_after(date: NaiveDate) -> Option<NaiveDateTime> {
    Some(
        date.checked_add_days(Days::new(1))?
            .and_time(NaiveTime::MIN),
    )
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        span(text)
            .or_else(|| weekly(text))
            .ok_or_else(|| WindowError { text: shown(text) })
    }
}

fn span(text: &str) -> Option<Window> {
    let moment = |text: &str| {
        let text = text.trim();
        let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"];
        let mut times = formats.iter();
        times
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN)))
    };
    let (from, until) = text.split_once('/')?;
    let (from, until) = (moment(from)?, moment(until)?);
    (from < until).then_some(Window::Span { from, until })
}

fn weekly(text: &str) -> Option<Window> {
    let (days, times) = text.trim().split_once(char::is_whitespace)?;
    let (from, until) = times.trim().split_once('-')?;
    let time = |text: &str| match text.trim() {
        // The end of a day is the beginning of the next.
        "24:00" => Some(NaiveTime::MIN),
        text => NaiveTime::parse_from_str(text, "%H:%M").ok(),
    };
    Some(Window::Weekly {
        days: weekdays(days)?,
        from: time(from)?,
        until: time(until)?,
    })
}

fn weekdays(text: &str) -> Option<[bool; 7]> {
    if text == "*" {
        return Some([true; 7]);
    }
    let number = |name: &str| {
        let weekday = name.parse::<Weekday>().ok()?;
        Some(weekday.num_days_from_monday() as usize)
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        // `SAT-MON` goes over the end of the week.
        let length = (last + 7 - first) % 7;
        (0..=length).for_each(|step| days[(first + step) % 7] = true);
    }
    Some(days)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span { from, until } => {
                let format = "%Y-%m-%dT%H:%M:%S";
                write!(f, "{}/{}", from.format(format), until.format(format))
            }
            Self::Weekly { days, from, until } => {
                let names = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
                let on = names.iter().zip(days).filter(|(_, on)| **on);
                let on: Vec<&str> = on.map(|(name, _)| *name).collect();
                let on = if on.len() == 7 {
                    "*".to_owned()
                } else {
                    on.join(",")
                };
                write!(f, "{on} {}-{}", from.format("%H:%M"), until.format("%H:%M"))
            }
        }
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
