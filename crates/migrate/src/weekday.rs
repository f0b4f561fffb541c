//! Numeric weekdays of V1: its scheduler counted them from Monday, its form
//! from Sunday, as cron does. Reads a field either way. Never knows the other
//! fields of an expression.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

/// Which weekday the number 0 stands for in V1's cron expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weekdays {
    /// Sunday: what V1's form said, and what cron means.
    #[default]
    Sunday,
    /// Monday: what V1's scheduler did.
    Monday,
}

/// A schedule that means different days under the two readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeekdayDifference {
    /// The zone of the schedule.
    pub timezone: Tz,
    /// The expression with 0 for Sunday.
    pub sunday_expression: String,
    /// The same with 0 for Monday, in V2's words.
    pub monday_expression: String,
    /// The next five instants with 0 for Sunday.
    pub under_sunday: Vec<DateTime<Utc>>,
    /// The next five instants with 0 for Monday.
    pub under_monday: Vec<DateTime<Utc>>,
}

const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A weekday field under both readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readings {
    /// It means the same days.
    Same,
    /// It means other days if 0 is Monday; so V2 has to write it then.
    Differ(String),
    /// It has a 7, which is no day if 0 is Monday: V1's scheduler refused it.
    OnlySunday,
}

/// Reads a field under both readings.
pub(crate) fn readings(field: &str) -> Readings {
    let (special, plain): (Vec<&str>, Vec<&str>) = field
        .split(',')
        .partition(|item| number_with_suffix(item).is_some());
    let mut days_of = [None, None];
    if !plain.is_empty() {
        let plain = plain.join(",");
        let read = |weekdays| days(&plain, weekdays);
        days_of = match (read(Weekdays::Sunday), read(Weekdays::Monday)) {
            (Some(sunday), Some(monday)) => [Some(sunday), Some(monday)],
            (Some(_), None) => return Readings::OnlySunday,
            // It is wrong either way, or has no number to be read two ways.
            (None, _) => return Readings::Same,
        };
    }
    let shifted: Option<Vec<String>> = special.iter().map(|item| shifted(item)).collect();
    let [sunday, monday] = days_of;
    match shifted {
        None => Readings::OnlySunday,
        Some(shifted) if shifted.is_empty() && sunday == monday => Readings::Same,
        Some(shifted) => {
            let days = monday.iter().map(written);
            Readings::Differ(days.chain(shifted).collect::<Vec<_>>().join(","))
        }
    }
}

/// `5L` and `5#2`, which name one day by its number.
fn number_with_suffix(item: &str) -> Option<(&str, &str)> {
    let end = item.find(|one: char| !one.is_ascii_digit())?;
    let (number, rest) = item.split_at(end);
    let nth = rest.strip_prefix('#');
    let nth = nth.is_some_and(|nth| nth.parse::<u8>().is_ok());
    let fits = !number.is_empty() && (nth || rest.eq_ignore_ascii_case("L"));
    fits.then_some((number, rest))
}

/// The same if 0 is Monday; none when there is no such day.
fn shifted(item: &str) -> Option<String> {
    let (number, rest) = number_with_suffix(item)?;
    let day = number.parse::<usize>().ok().filter(|day| *day <= 6)?;
    Some(format!("{}{rest}", NAMES[(day + 1) % 7]))
}

/// The days of a field, counted from Sunday; none when it can't be read so.
fn days(field: &str, weekdays: Weekdays) -> Option<BTreeSet<usize>> {
    let mut days = BTreeSet::new();
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (item, 1),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (day(first, weekdays)?, day(last, weekdays)?),
            None if matches!(range, "*" | "?") => ((0, false), (6, false)),
            None => {
                let first = day(range, weekdays)?;
                // `3/2` runs to the end of the week.
                let open = item.contains('/');
                (first, if open { (6, first.1) } else { first })
            }
        };
        let named = first.1 || last.1;
        if named && first.1 != last.1 || first.0 > last.0 {
            return None;
        }
        let shift = usize::from(!named && weekdays == Weekdays::Monday);
        days.extend(
            (first.0..=last.0)
                .step_by(step)
                .map(|day| (day + shift) % 7),
        );
    }
    Some(days)
}

/// A day's number as it is written, and whether it was a name.
fn day(text: &str, weekdays: Weekdays) -> Option<(usize, bool)> {
    let mut names = NAMES.iter();
    if let Some(day) = names.position(|name| name.eq_ignore_ascii_case(text)) {
        return Some((day, true));
    }
    let highest = match weekdays {
        Weekdays::Sunday => 7,
        Weekdays::Monday => 6,
    };
    let day = text.parse::<usize>().ok()?;
    (day <= highest).then_some((day, false))
}

/// Days in names: `MON-FRI`, `SUN,FRI,SAT`.
fn written(days: &BTreeSet<usize>) -> String {
    if days.len() == NAMES.len() {
        return "*".to_owned();
    }
    let mut parts = Vec::new();
    let mut first = 0;
    while first < NAMES.len() {
        if !days.contains(&first) {
            first += 1;
            continue;
        }
        let run = (first..NAMES.len())
            .take_while(|day| days.contains(day))
            .count();
        if run > 2 {
            parts.push(format!("{}-{}", NAMES[first], NAMES[first + run - 1]));
        } else {
            let names = NAMES[first..first + run].iter();
            parts.extend(names.map(|name| (*name).to_owned()));
        }
        first += run;
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(field: &str, monday: &str) {
        assert_eq!(
            readings(field),
            Readings::Differ(monday.to_owned()),
            "{field}"
        );
    }

    #[test]
    fn numbers_move_by_a_day_when_monday_is_zero() {
        differ("1-5", "TUE-SAT");
        differ("0", "MON");
        differ("6", "SUN");
        differ("0-4", "MON-FRI");
        differ("4-6", "SUN,FRI,SAT");
        differ("0,2,4", "MON,WED,FRI");
        differ("1-5/2", "TUE,THU,SAT");
        differ("*/2", "SUN,MON,WED,FRI");
        differ("3/2", "THU,SAT");
        differ("5L", "SATL");
        differ("5#2", "SAT#2");
        differ("6#1", "SUN#1");
    }

    #[test]
    fn names_and_whole_weeks_mean_the_same() {
        for field in ["*", "?", "L", "MON-FRI", "sun,wed", "0-6", "*/1"] {
            assert_eq!(readings(field), Readings::Same, "{field}");
        }
    }

    #[test]
    fn names_beside_numbers_stay() {
        differ("MON,2", "MON,WED");
        differ("1,5L", "TUE,SATL");
        differ("0#1,6#2", "MON#1,SUN#2");
    }

    #[test]
    fn seven_is_sunday_or_nothing() {
        for field in ["7", "1-7", "5,7", "7L", "7#1", "1,7L"] {
            assert_eq!(readings(field), Readings::OnlySunday, "{field}");
        }
    }

    #[test]
    fn what_is_wrong_either_way_is_left_to_others() {
        for field in ["8", "5-1", "1/0", "MON-5", "x1", "1-2-3", ""] {
            assert_eq!(readings(field), Readings::Same, "{field}");
        }
    }
}
