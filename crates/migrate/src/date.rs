//! Dates and time zones as V1 kept them: with an offset, or naive and meant in
//! some zone. Never assumes a zone by itself.

use chrono::{
    DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc,
};
use chrono_tz::Tz;

/// The years that V2's dates lie in.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;
/// Longer than any change of clocks, in minutes.
const LONGEST_GAP: i64 = 26 * 60;

const NAIVE: [&str; 8] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%b %e %Y %I:%M%p",
    "%b %d %Y %I:%M:%S%.f%p",
];
const WITH_OFFSET: [&str; 3] = [
    "%Y-%m-%d %H:%M:%S%.f %:z",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f%z",
];

/// A date as it stands in a row or a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Date {
    /// It says which instant it is.
    Instant(DateTime<Utc>),
    /// It needs a zone.
    Local(NaiveDateTime),
}

/// What happened to a local time on its way to an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shift {
    /// Nothing: it is there once.
    None,
    /// It comes twice; the first was taken.
    First,
    /// It does not exist; the first instant after the gap was taken.
    AfterGap,
}

/// Reads a date, as far as it goes without a zone.
pub(crate) fn read(text: &str) -> Option<Date> {
    let text = text.trim();
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(Date::Instant(instant.to_utc()));
    }
    let utc = text.strip_suffix(['Z', 'z']).map(str::trim_end);
    if let Some(local) = utc.and_then(naive) {
        return Some(Date::Instant(local.and_utc()));
    }
    let mut offsets = WITH_OFFSET.iter();
    if let Some(instant) = offsets.find_map(|format| DateTime::parse_from_str(text, format).ok()) {
        return Some(Date::Instant(instant.to_utc()));
    }
    naive(text).map(Date::Local)
}

fn naive(text: &str) -> Option<NaiveDateTime> {
    let mut formats = NAIVE.iter();
    let with_time = formats.find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    with_time.or_else(|| {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(date.and_time(NaiveTime::MIN))
    })
}

impl Date {
    /// The instant, with a naive date read in a zone; none when it lies outside
    /// of the years that V2 has.
    pub(crate) fn within(self, zone: Tz) -> Option<(DateTime<Utc>, Shift)> {
        let found = match self {
            Self::Instant(instant) => Some((instant, Shift::None)),
            Self::Local(local) if YEARS.contains(&local.year()) => at(local, zone),
            Self::Local(_) => None,
        };
        found.filter(|(instant, _)| YEARS.contains(&instant.year()))
    }
}

fn at(local: NaiveDateTime, zone: Tz) -> Option<(DateTime<Utc>, Shift)> {
    match local.and_local_timezone(zone) {
        LocalResult::Single(instant) => Some((instant.to_utc(), Shift::None)),
        LocalResult::Ambiguous(first, _) => Some((first.to_utc(), Shift::First)),
        LocalResult::None => after_gap(local, zone).map(|instant| (instant, Shift::AfterGap)),
    }
}

/// The first instant after the gap that a local time lies in: gaps end at whole
/// minutes.
fn after_gap(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let minute = local.and_utc().timestamp().div_euclid(60) * 60;
    let start = DateTime::from_timestamp(minute, 0)?.naive_utc();
    (1..=LONGEST_GAP).find_map(|minutes| {
        let later = start.checked_add_signed(TimeDelta::minutes(minutes))?;
        later
            .and_local_timezone(zone)
            .earliest()
            .map(|at| at.to_utc())
    })
}

/// The zone of a name, as V1's library took it: in any casing.
pub(crate) fn zone(name: &str) -> Option<Tz> {
    let name = name.trim();
    let exact = name.parse::<Tz>().ok();
    exact.or_else(|| {
        let mut all = chrono_tz::TZ_VARIANTS.iter();
        all.find(|zone| zone.name().eq_ignore_ascii_case(name))
            .copied()
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn instant(text: &str, zone: Tz) -> (String, Shift) {
        let (at, shift) = read(text).unwrap().within(zone).unwrap();
        (at.to_rfc3339(), shift)
    }

    #[test]
    fn naive_dates_are_read_in_the_zone() {
        for text in [
            "2025-09-01T09:00:00",
            "2025-09-01 09:00:00.000",
            "2025-09-01T09:00",
            " 2025-09-01 09:00 ",
            "09/01/2025 9:00 AM",
            "Sep  1 2025 09:00AM",
        ] {
            let expected = ("2025-09-01T07:00:00+00:00".to_owned(), Shift::None);
            assert_eq!(instant(text, Tz::Europe__Berlin), expected, "{text}");
        }
        let (midnight, _) = instant("2025-09-01", Tz::UTC);
        assert_eq!(midnight, "2025-09-01T00:00:00+00:00");
    }

    #[test]
    fn dates_with_an_offset_need_no_zone() {
        for text in [
            "2025-09-01T09:00:00Z",
            "2025-09-01 09:00:00Z",
            "2025-09-01T11:00:00+02:00",
            "2025-09-01 11:00:00 +02:00",
            "2025-09-01T11:00:00.000+0200",
        ] {
            let (at, _) = instant(text, Tz::Asia__Tokyo);
            assert_eq!(at, "2025-09-01T09:00:00+00:00", "{text}");
        }
    }

    #[test]
    fn clock_changes_are_told() {
        let gap = instant("2027-03-28T02:30:00", Tz::Europe__Berlin);
        assert_eq!(
            gap,
            ("2027-03-28T01:00:00+00:00".to_owned(), Shift::AfterGap)
        );
        let fold = instant("2026-10-25T02:30:00", Tz::Europe__Berlin);
        assert_eq!(fold, ("2026-10-25T00:30:00+00:00".to_owned(), Shift::First));
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in ["", "soon", "2025-13-01T00:00:00", "2025-09-01T25:00", "12"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn years_that_v2_does_not_have_are_refused() {
        for text in [
            "0001-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
            "+200000-01-01T00:00:00",
        ] {
            let found = read(text).and_then(|date| date.within(Tz::Asia__Tokyo));
            assert_eq!(found, None, "{text}");
        }
    }

    #[test]
    fn zones_are_found_in_any_casing_and_never_guessed() {
        assert_eq!(zone(" europe/LONDON "), Some(Tz::Europe__London));
        assert_eq!(zone("utc"), Some(Tz::UTC));
        assert_eq!(zone("Eastern Standard Time"), None);
        assert_eq!(zone(""), None);
    }
}
